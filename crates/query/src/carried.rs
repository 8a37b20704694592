//! What a session carries to its operators and functions: they are given its options, not the session. No user sets it.

/// Makes a type an extension of a session's options, under a name of its own.
macro_rules! carried_by_sessions {
    ($kind:ty, $name:literal) => {
        impl datafusion::common::config::ConfigExtension for $kind {
            const PREFIX: &'static str = $name;
        }

        impl datafusion::common::config::ExtensionOptions for $kind {
            fn as_any(&self) -> &dyn std::any::Any {
                self
            }

            fn as_any_mut(&mut self) -> &mut dyn std::any::Any {
                self
            }

            fn cloned(&self) -> Box<dyn datafusion::common::config::ExtensionOptions> {
                Box::new(self.clone())
            }

            fn set(&mut self, key: &str, _value: &str) -> datafusion::common::Result<()> {
                datafusion::common::config_err!("there is no option \"{}.{key}\"", $name)
            }

            fn entries(&self) -> Vec<datafusion::config::ConfigEntry> {
                vec![]
            }
        }
    };
}

pub(crate) use carried_by_sessions;
