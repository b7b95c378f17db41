//! Where the rows of a read model are: what serves, what is built aside, what served before.

use std::borrow::Cow;

/// One of three sets of tables of a read model. Swapping renames them, so that statements which
/// name the live tables need not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slot {
    /// What serves.
    #[default]
    Live,
    /// What is built aside.
    Shadow,
    /// What served before the last swap.
    Previous,
}

/// Every table that has slots.
const TABLES: [&str; 3] = ["order_book", "board_broadcasts", "board_spotlights"];

impl Slot {
    /// Its name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Shadow => "shadow",
            Self::Previous => "previous",
        }
    }

    /// What follows the name of a table, or of a checkpoint.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Live => "",
            Self::Shadow => "_shadow",
            Self::Previous => "_previous",
        }
    }

    /// The name of a table, or of a checkpoint, in this slot.
    pub fn of(self, name: &str) -> String {
        format!("{name}{}", self.suffix())
    }

    /// A statement over live tables as one over the tables of this slot.
    pub fn sql(self, statement: &str) -> Cow<'_, str> {
        if self == Self::Live {
            return Cow::Borrowed(statement);
        }
        let mut text = statement.to_owned();
        for table in TABLES {
            text = text.replace(table, &self.of(table));
        }
        Cow::Owned(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_names_the_tables_of_its_slot() {
        let text = "SELECT b.view FROM board_broadcasts b JOIN board_spotlights s ON true";
        assert_eq!(Slot::Live.sql(text), text);
        assert_eq!(
            Slot::Shadow.sql(text),
            "SELECT b.view FROM board_broadcasts_shadow b JOIN board_spotlights_shadow s ON true"
        );
        assert_eq!(Slot::Previous.of("order_book"), "order_book_previous");
    }
}
