//! Identifiers of what a bulletin holds: each kind a type of its own, so that none stands where another belongs.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::name_based_id;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            #[serde(transparent)]
            pub struct $name(String);

            impl $name {
                /// The name-based id of `name`: see [`name_based_id`].
                pub fn of(name: &str) -> Self {
                    Self(name_based_id($kind, name))
                }

                /// As it is written.
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl Deref for $name {
                type Target = str;

                fn deref(&self) -> &str {
                    &self.0
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.0)
                }
            }

            impl From<String> for $name {
                fn from(text: String) -> Self {
                    Self(text)
                }
            }

            impl From<&str> for $name {
                fn from(text: &str) -> Self {
                    Self(text.to_owned())
                }
            }

            impl From<$name> for String {
                fn from(id: $name) -> Self {
                    id.0
                }
            }

            impl PartialEq<&str> for $name {
                fn eq(&self, other: &&str) -> bool {
                    self.0 == *other
                }
            }
        )+
    };
}

ids! {
    /// Of a [`crate::Pick`].
    PickId = "pick";
    /// Of an [`crate::Event`].
    EventId = "event";
    /// Of an [`crate::Origin`].
    OriginId = "origin";
    /// Of an [`crate::Arrival`].
    ArrivalId = "arrival";
    /// Of an [`crate::Amplitude`].
    AmplitudeId = "amplitude";
    /// Of a [`crate::Magnitude`].
    MagnitudeId = "magnitude";
}
