//! Lists of networks, in any table.

use toml::Spanned;

use super::Checker;
use crate::login::Network;

impl Checker<'_> {
    pub(in crate::config) fn networks(
        &mut self,
        key: &str,
        networks: &[Spanned<String>],
    ) -> Vec<Network> {
        let mut read = Vec::new();
        for network in networks {
            match Network::parse(network.get_ref()) {
                Some(known) => {
                    self.warn_of_host_bits(key, network, known);
                    read.push(known);
                }
                None => {
                    let text = network.get_ref();
                    let message = match text.contains([',', ';', ' ']) {
                        true => format!(
                            "{text:?} is a list in one string: write each entry in its own quotes"
                        ),
                        false => format!("{text:?} is neither an address nor a network"),
                    };
                    self.report(&network.span(), key, message);
                }
            }
        }
        read
    }

    /// Warns about a network such as 10.0.0.1/8, which means all of 10.0.0.0/8.
    pub(in crate::config) fn warn_of_host_bits(
        &mut self,
        key: &str,
        written: &Spanned<String>,
        read: Network,
    ) {
        if let Some(network) = read.without_host_bits() {
            let text = written.get_ref();
            let message = format!(
                "{text:?} has bits of a host after its prefix and means the whole network: write \
                 \"{network}\", or the address alone"
            );
            self.warn(&written.span(), key, message);
        }
    }
}
