//! Credentials of a bucket: those of the settings and the environment, else those of the machine, where it has any.

use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key};
use seislake_model::ErrorKind;
use tokio::net::TcpStream;

use crate::error::{Error, Result};

/// Where machines in Amazon's cloud hand out the credentials of their role.
const MACHINE: &str = "http://169.254.169.254";
/// It is next door: it answers at once or never.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Where the machine would be asked; `None` where credentials are given, or none are needed.
pub(super) fn asked_of_machine_at(builder: &AmazonS3Builder) -> Option<String> {
    let given = [
        Key::AccessKeyId,
        Key::WebIdentityTokenFile,
        Key::ContainerCredentialsRelativeUri,
        Key::ContainerCredentialsFullUri,
    ];
    let unsigned = builder.get_config_value(&Key::SkipSignature).as_deref() == Some("true");
    if unsigned || given.iter().any(|key| builder.get_config_value(key).is_some()) {
        return None;
    }
    Some(builder.get_config_value(&Key::MetadataEndpoint).unwrap_or_else(|| MACHINE.to_owned()))
}

/// Refuses where the machine does not answer.
pub(super) async fn require_machine(warehouse: &str, address: &str) -> Result<()> {
    let host = address.trim_start_matches("http://").trim_start_matches("https://");
    let host = host.split('/').next().unwrap_or_default();
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    match tokio::time::timeout(ANSWER_MAX, TcpStream::connect(&host)).await {
        Ok(Ok(_)) => Ok(()),
        _ => {
            let message = format!(
                "there are no credentials for the warehouse \"{warehouse}\": set AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN where they are temporary), or \
                 AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN; the machine itself gives none"
            );
            Err(Error::new(ErrorKind::Invalid, message))
        }
    }
}
