//! The payment provider that is configured: its name, its methods, and the way to it.

use std::sync::Arc;
use std::time::Duration;

use commands::process::{SIM_METHODS, SimulatedGateway};
use domain::ports::{Clock, PaymentGateway};
use secrecy::SecretString;

use super::client::{ClientError, ProviderClient};
use super::http::HttpGateway;
use super::stripe::{CLIENT_METHOD, STRIPE_URL, StripeGateway};
use crate::config::PaymentConfig;

/// The method of an order that names none, where a shop's own service decides.
const HTTP_METHOD_DEFAULT: &str = "default";

/// A payment provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Charges nobody.
    Simulated,
    /// A shop's own service (docs/PAYMENTS.md).
    Http,
    /// Stripe.
    Stripe,
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 3] = [Self::Simulated, Self::Http, Self::Stripe];

    /// The name in settings, orders and routes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Http => "http",
            Self::Stripe => "stripe",
        }
    }

    /// The provider of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.name() == name)
    }

    /// The method of an order that names none.
    pub const fn default_method(self) -> &'static str {
        match self {
            Self::Simulated => SIM_METHODS[0],
            Self::Http => HTTP_METHOD_DEFAULT,
            Self::Stripe => CLIENT_METHOD,
        }
    }

    /// Whether a buyer may choose this method.
    ///
    /// # Errors
    /// What is wrong with it, to be put behind the field's name.
    pub fn check_method(self, method: &str) -> Result<(), String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
        let good = match self {
            Self::Simulated => SIM_METHODS.contains(&method),
            Self::Http => !method.is_empty() && method.bytes().all(plain),
            Self::Stripe => {
                method == CLIENT_METHOD || method.starts_with("pm_") && method.bytes().all(plain)
            }
        };
        if good {
            return Ok(());
        }
        Err(match self {
            Self::Simulated => format!("is not one of {}", SIM_METHODS.join(", ")),
            Self::Http => "may have letters, digits and _ . : - only".to_owned(),
            Self::Stripe => format!("is neither {CLIENT_METHOD} nor a payment method's id, pm_…"),
        })
    }

    /// The way to it.
    ///
    /// # Errors
    /// The client cannot be built, or a setting is missing.
    pub fn gateway(
        self,
        config: &PaymentConfig,
        key: Option<&SecretString>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Arc<dyn PaymentGateway>, ClientError> {
        let return_url = config.return_url.clone();
        Ok(match self {
            Self::Simulated => {
                let delay = Duration::from_millis(config.simulated_delay_milliseconds.into());
                Arc::new(SimulatedGateway::new(Arc::clone(clock), delay))
            }
            Self::Http => {
                let url = config.url.as_deref().ok_or(ClientError::Setting("payment.url"))?;
                Arc::new(HttpGateway::new(ProviderClient::new(url, key)?, return_url))
            }
            Self::Stripe => {
                let url = config.url.as_deref().unwrap_or(STRIPE_URL);
                Arc::new(StripeGateway::new(ProviderClient::new(url, key)?, return_url))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_has_a_name_and_takes_its_own_default() {
        for provider in Provider::ALL {
            assert_eq!(Provider::named(provider.name()), Some(provider));
            assert_eq!(provider.check_method(provider.default_method()), Ok(()));
        }
        assert_eq!(Provider::named("paypal"), None);
    }

    #[test]
    fn a_method_is_one_of_the_providers() {
        let ok = |provider: Provider, method| provider.check_method(method).is_ok();
        assert!(ok(Provider::Simulated, "sim_late") && !ok(Provider::Simulated, "pm_1"));
        assert!(ok(Provider::Stripe, "pm_1") && !ok(Provider::Stripe, "pm_1/../x"));
        assert!(!ok(Provider::Stripe, "sim_ok"));
        assert!(
            ok(Provider::Http, "card:7") && !ok(Provider::Http, "a b") && !ok(Provider::Http, "")
        );
    }
}
