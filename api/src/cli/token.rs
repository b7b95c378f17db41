//! Development tokens.

use secrecy::ExposeSecret;
use serde_json::json;

use super::{CliError, SettingArgs, Verdict};
use crate::auth::{self, Claims, DEFAULT_SELLER};
use crate::config::Secrets;
use commands::clock::SystemClock;
use domain::ports::Clock;

/// The longest time to live, in seconds (a year).
const TTL_MAX_SECONDS: i64 = 366 * 86_400;

/// Print a development token
///
/// Signed with the configured secret, or with the one beside the embedded database.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    settings: SettingArgs,
    /// viewer, host, moderator, admin or auditor
    #[arg(long)]
    role: String,
    /// The subject
    #[arg(long)]
    sub: String,
    /// The seller that the role acts within
    #[arg(long, default_value = DEFAULT_SELLER)]
    seller: String,
    /// The display name
    #[arg(long)]
    name: Option<String>,
    /// How long it is valid: 90s, 30m, 8h or 7d
    #[arg(long, default_value = "8h", value_parser = seconds)]
    ttl: i64,
    /// Print an object with the token and its claims
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Verdict, CliError> {
    let (config, backend) = args.settings.load()?;
    let role = auth::role_of(&args.role).ok_or_else(|| {
        CliError::usage("--role is one of viewer, host, moderator, admin, auditor")
    })?;
    let secrets = Secrets::load(&config, &backend)?;
    let secret = secrets.tokens.ok_or_else(|| {
        CliError::usage("tokens are signed by the identity provider of ONAIR_AUTH_JWKS_URL")
    })?;
    let expires = SystemClock.now().timestamp().saturating_add(args.ttl);
    let mut claims = Claims::new(args.sub.clone(), role, args.seller.clone(), expires);
    claims.name.clone_from(&args.name);
    claims.clone().caller().map_err(CliError::usage)?;
    let token = auth::sign(secret.expose_secret(), &claims).map_err(CliError::usage)?;
    if args.json {
        println!("{}", json!({"token": token, "claims": claims}));
    } else {
        println!("{token}");
    }
    Ok(Verdict::Good)
}

fn seconds(text: &str) -> Result<i64, String> {
    let bad = || "is not a time such as 90s, 30m, 8h or 7d".to_owned();
    let unit = text.chars().last().ok_or_else(bad)?;
    let number: i64 = text.trim_end_matches(unit).parse().map_err(|_| bad())?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(bad()),
    };
    let seconds = number.checked_mul(factor).ok_or_else(bad)?;
    if (1..=TTL_MAX_SECONDS).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("is not between 1s and 366d".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_a_bound() {
        assert_eq!(seconds("8h"), Ok(28_800));
        assert_eq!(seconds("366d"), Ok(TTL_MAX_SECONDS));
        for bad in ["", "8", "h", "0s", "-1h", "367d", "8x", "9999999999999999d"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
