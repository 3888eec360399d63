//! What is said about an address: by whom, of what kind, how surely.
//!
//! A label is a claim with its source, never a judgement: several labels of one address stand side by side, also where
//! they contradict each other, and the verdict is computed from them when it is needed.

use domain::{UnixNanos, Verdict};

/// Declares an enum with a stable byte and a stable lower-case name per variant.
macro_rules! stable_words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $tag:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every variant, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// A stable byte for storage.
            #[must_use]
            pub const fn tag(self) -> u8 {
                match self { $(Self::$variant => $tag),* }
            }

            /// Inverse of the stable byte.
            #[must_use]
            pub const fn from_tag(tag: u8) -> Option<Self> {
                match tag { $($tag => Some(Self::$variant),)* _ => None }
            }

            /// Stable lower-case name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

stable_words! {
    /// What kind of holder or use a label names; gravest first within the malicious ones, then the benign.
    Category {
        /// Listed by a sanctions authority.
        Sanctions = 1, "sanctions";
        /// Financing of terrorism.
        Terrorism = 2, "terrorism";
        /// Abuse of children.
        ChildAbuse = 3, "child_abuse";
        /// Collects ransom for encrypted data.
        Ransomware = 4, "ransomware";
        /// Blackmail with intimate material or the claim of it.
        Sextortion = 5, "sextortion";
        /// Received funds stolen from a service or its customers.
        Theft = 6, "theft";
        /// Took funds through a fault of a contract or protocol.
        Exploit = 7, "exploit";
        /// Collects from phishing: drainers, fake sites, stolen approvals.
        Phishing = 8, "phishing";
        /// Takes payment under false pretences, investment fraud included.
        Scam = 9, "scam";
        /// Pays earlier participants from later ones.
        PonziScheme = 10, "ponzi_scheme";
        /// Made to resemble an address its victims use.
        AddressPoisoning = 11, "address_poisoning";
        /// Political or religious extremism.
        Extremism = 12, "extremism";
        /// Frozen by the issuer of a token: what arrives cannot leave.
        Frozen = 13, "frozen";
        /// Obscures the origin of funds as a service.
        Mixer = 14, "mixer";
        /// Sells what is illegal, or lets others do so.
        DarknetMarket = 15, "darknet_market";
        /// Named for an abuse this build has no word for.
        OtherAbuse = 16, "other_abuse";
        /// Behaves like addresses that turned out malicious; found by a model, confirmed by nobody.
        Suspected = 17, "suspected";
        /// A collaborative transaction of many owners.
        Coinjoin = 64, "coinjoin";
        /// A custodial exchange.
        Exchange = 65, "exchange";
        /// A betting service.
        Gambling = 66, "gambling";
        /// A miner or mining pool.
        Miner = 67, "miner";
        /// A decentralised protocol.
        Defi = 68, "defi";
        /// Holds wallets for others.
        WalletService = 69, "wallet_service";
        /// Processes payments or offers another service.
        Service = 70, "service";
        /// An organisation.
        Organization = 71, "organization";
        /// A person.
        User = 72, "user";
        /// Moves funds between chains.
        Bridge = 73, "bridge";
        /// None of the above.
        Other = 127, "other";
    }
}

impl Category {
    /// Whether the label speaks against the address.
    #[must_use]
    pub const fn is_malicious(self) -> bool {
        self.tag() < 64
    }

    /// Whether money is followed no further than its holder: those who take it for themselves, and services, where it mixes
    /// with that of others so that what they pay out says nothing about what they received.
    #[must_use]
    pub const fn ends_tracing(self) -> bool {
        !matches!(self, Self::Suspected | Self::Coinjoin | Self::Organization | Self::User | Self::Other)
    }

    /// Whether the holder deals with many who know nothing of each other: what it pays somebody says nothing about whoever paid
    /// it, and two who deal with it have nothing in common by that.
    #[must_use]
    pub const fn is_service(self) -> bool {
        matches!(
            self,
            Self::Mixer
                | Self::DarknetMarket
                | Self::Exchange
                | Self::Gambling
                | Self::Miner
                | Self::Defi
                | Self::WalletService
                | Self::Service
                | Self::Bridge
        )
    }

    /// What a well-founded label of this category asks for when funds are to go there.
    ///
    /// Deny where paying is illegal or hands the customer's funds to somebody who took them by deceit; hold where
    /// people must look; challenge for a suspicion nobody has confirmed; allow, as counter-evidence, for the rest.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Sanctions
            | Self::Terrorism
            | Self::ChildAbuse
            | Self::Ransomware
            | Self::Sextortion
            | Self::Theft
            | Self::Exploit
            | Self::Phishing
            | Self::Scam
            | Self::PonziScheme
            | Self::AddressPoisoning => Verdict::Deny,
            Self::Extremism | Self::Frozen | Self::Mixer | Self::DarknetMarket | Self::OtherAbuse => {
                Verdict::Hold
            }
            Self::Suspected => Verdict::Challenge,
            Self::Coinjoin
            | Self::Exchange
            | Self::Gambling
            | Self::Miner
            | Self::Bridge
            | Self::Defi
            | Self::WalletService
            | Self::Service
            | Self::Organization
            | Self::User
            | Self::Other => Verdict::Allow,
        }
    }

    /// What a label of this category asks for: the category's verdict, softened from deny to hold where the claim is
    /// weak. Sanctions and terrorism are never softened: there a mistake is for the authority, not for us, to correct.
    #[must_use]
    pub const fn verdict_with(self, confidence: Confidence) -> Verdict {
        match (self, self.verdict()) {
            (Self::Sanctions | Self::Terrorism, verdict) => verdict,
            (_, Verdict::Deny) if confidence.is_weak() => Verdict::Hold,
            (_, verdict) => verdict,
        }
    }

    /// The category of an `abuse` word of the TagPack taxonomy; [`Category::OtherAbuse`] for a word not known here,
    /// since whoever wrote it meant abuse.
    #[must_use]
    pub fn from_abuse_word(word: &str) -> Self {
        Self::from_word(word).unwrap_or(Self::OtherAbuse)
    }

    /// The category of a `category` or `concepts` word of the TagPack taxonomy, or of a name given by
    /// [`Category::as_str`]; case and the difference between space, hyphen and underscore do not matter.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let word: String = word
            .trim()
            .chars()
            .take(64)
            .map(|c| if matches!(c, ' ' | '-') { '_' } else { c.to_ascii_lowercase() })
            .collect();
        let category = match word.as_str() {
            "sanction" => Self::Sanctions,
            "csam" | "child_sexual_abuse" | "child_sexual_abuse_material" => Self::ChildAbuse,
            "hack" | "service_hack" | "stolen_funds" | "wallet_hack" => Self::Theft,
            "perpetrator" | "malware" | "blackmail" | "extortion" | "illegal" => Self::OtherAbuse,
            "investment_fraud" | "fraud" | "giveaway_scam" | "pig_butchering" | "romance_scam" => Self::Scam,
            "drainer" | "phish" => Self::Phishing,
            "pyramid_scheme" => Self::PonziScheme,
            "black_list" | "blacklist" => Self::Frozen,
            "mixing_service" | "mixing" => Self::Mixer,
            "market" | "marketplace" | "darkweb_market" => Self::DarknetMarket,
            "defi_bridge" | "cross_chain_bridge" => Self::Bridge,
            "defi_dex" | "defi_lending" | "dex" => Self::Defi,
            "hosted_wallet" | "wallet" => Self::WalletService,
            "payment_processor" | "shop" => Self::Service,
            "donation" | "organisation" => Self::Organization,
            "unspecified" => Self::Other,
            same => return Self::ALL.iter().copied().find(|category| category.as_str() == same),
        };
        Some(category)
    }
}

stable_words! {
    /// How a label came to be known, in the words of the TagPack taxonomy; surest first.
    Confidence {
        /// The claimant holds the key.
        Ownership = 1, "ownership";
        /// Written in the ledger itself.
        LedgerImmanent = 2, "ledger_immanent";
        /// Somebody transacted with the holder and saw the address.
        ManualTransaction = 3, "manual_transaction";
        /// Published by an authority.
        AuthorityData = 4, "authority_data";
        /// Published by the service itself.
        ServiceData = 5, "service_data";
        /// Answered by the service's interface.
        ServiceApi = 6, "service_api";
        /// Result of an investigation.
        Forensic = 7, "forensic";
        /// The source does not say.
        Unstated = 8, "unstated";
        /// A transaction with somebody who may not be who they say.
        UntrustedTransaction = 9, "untrusted_transaction";
        /// Found on web pages.
        WebCrawl = 10, "web_crawl";
        /// Inferred by a rule of thumb.
        Heuristic = 11, "heuristic";
        /// Explicitly unknown.
        Unknown = 12, "unknown";
    }
}

impl Confidence {
    /// From the taxonomy's word; a word not known here counts as [`Confidence::Unknown`].
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        let word = word.trim();
        Self::ALL.iter().copied().find(|confidence| confidence.as_str() == word).unwrap_or(Self::Unknown)
    }

    /// Whether the label alone is too weak to refuse somebody's withdrawal for good.
    #[must_use]
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::UntrustedTransaction | Self::WebCrawl | Self::Heuristic | Self::Unknown)
    }
}

/// One claim about one address, as an importer writes it and a lookup returns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label<'a> {
    /// What kind.
    pub category: Category,
    /// How surely.
    pub confidence: Confidence,
    /// Who or what the address is said to be.
    pub text: &'a str,
    /// Where the claim was published.
    pub source: &'a str,
    /// The ticker or network the source named, in upper case; empty if it named none.
    pub asset: &'a str,
    /// The licence of the source; empty if it states none.
    pub licence: &'a str,
    /// When the source first made the claim, if it says.
    pub first_seen: Option<UnixNanos>,
    /// When the source last confirmed the claim, if it says.
    pub last_seen: Option<UnixNanos>,
}

impl Label<'_> {
    /// What this label asks for; see [`Category::verdict_with`].
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.category.verdict_with(self.confidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_tags_are_stable_and_unique() {
        for category in Category::ALL {
            assert_eq!(Category::from_tag(category.tag()), Some(*category));
            assert_eq!(Category::from_word(category.as_str()), Some(*category));
            assert_eq!(category.is_malicious(), category.verdict() != Verdict::Allow, "{category}");
            assert!(!category.is_service() || category.ends_tracing(), "{category}: its money mixes");
        }
        for confidence in Confidence::ALL {
            assert_eq!(Confidence::from_tag(confidence.tag()), Some(*confidence));
            assert_eq!(Confidence::from_word(confidence.as_str()), *confidence);
        }
    }

    #[test]
    fn taxonomy_words() {
        for (word, category) in [
            ("sanction", Category::Sanctions),
            ("service_hack", Category::Theft),
            ("Mixing Service", Category::Mixer),
            ("black_list", Category::Frozen),
            ("market", Category::DarknetMarket),
            ("investment_fraud", Category::Scam),
            ("defi_bridge", Category::Bridge),
        ] {
            assert_eq!(Category::from_word(word), Some(category));
        }
        assert_eq!(Category::from_word("submarine"), None);
        assert_eq!(Category::from_abuse_word("submarine"), Category::OtherAbuse);
    }

    #[test]
    fn weak_claims_hold_where_strong_ones_deny_except_sanctions() {
        let label = |category, confidence| Label {
            category,
            confidence,
            text: "",
            source: "",
            asset: "",
            licence: "",
            first_seen: None,
            last_seen: None,
        };
        assert_eq!(label(Category::Scam, Confidence::Forensic).verdict(), Verdict::Deny);
        assert_eq!(label(Category::Scam, Confidence::WebCrawl).verdict(), Verdict::Hold);
        assert_eq!(label(Category::Sanctions, Confidence::WebCrawl).verdict(), Verdict::Deny);
        assert_eq!(label(Category::Exchange, Confidence::Heuristic).verdict(), Verdict::Allow);
    }
}
