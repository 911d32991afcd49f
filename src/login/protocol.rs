//! The mail protocol of a client.

/// The mail protocol of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// IMAP.
    Imap,
    /// POP3, and every value other than exactly `imap` or `smtp`, as in the original script.
    Pop3,
    /// SMTP.
    Smtp,
}

impl Protocol {
    /// Parses nginx's name of the protocol; case matters.
    pub fn from_word(word: &[u8]) -> Self {
        match word {
            b"imap" => Self::Imap,
            b"smtp" => Self::Smtp,
            _ => Self::Pop3,
        }
    }

    /// nginx's name of the protocol.
    pub fn word(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Smtp => "smtp",
        }
    }
}
