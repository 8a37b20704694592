//! Whether a statement is still wanted. Who asked drops the flag's other end or raises it; operators look at it where they
//! would otherwise go on for long without asking anybody.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::common::config::{ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::{DataFusionError, Result, config_err};
use datafusion::config::ConfigEntry;

/// A flag shared by who asks and what works: once raised it stays so.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    own: Arc<AtomicBool>,
    /// That of the whole request.
    above: Option<Arc<AtomicBool>>,
}

impl Stop {
    /// A flag that counts as raised too when this one is: one statement of a request.
    #[must_use]
    pub fn below(&self) -> Self {
        Self { own: Arc::default(), above: Some(Arc::clone(&self.own)) }
    }

    /// The answer is not wanted any more.
    pub fn raise(&self) {
        self.own.store(true, Ordering::Relaxed);
    }

    /// Whether the answer is not wanted any more.
    pub fn is_raised(&self) -> bool {
        let raised = |flag: &Arc<AtomicBool>| flag.load(Ordering::Relaxed);
        raised(&self.own) || self.above.as_ref().is_some_and(raised)
    }

    /// That of the statement whose options these are; one that nobody raises for sessions without.
    pub(crate) fn of(options: &ConfigOptions) -> Self {
        options.extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// # Errors
    /// The answer is not wanted any more.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_raised() {
            return Err(DataFusionError::Execution("the statement was stopped".into()));
        }
        Ok(())
    }
}

/// Options of a session are how operators and functions find it.
impl ConfigExtension for Stop {
    const PREFIX: &'static str = "stop";
}

impl ExtensionOptions for Stop {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _value: &str) -> Result<()> {
        config_err!("there is no option \"{}.{key}\"", Self::PREFIX)
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        vec![]
    }
}
