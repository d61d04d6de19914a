//! Real texts, all in the public domain: their authors have been dead for more than eighty years, or never had a
//! copyright.
//!
//! W. Shakespeare (sonnets 18, 29, 73, 116, 130; *Hamlet* III, 1), the King James Bible (1611; from Genesis 1 and
//! Ecclesiastes 3), the *Declaration of Independence* (1776, its beginning), P. B. Shelley (*Ozymandias*, 1818), E. A.
//! Poe (*The Raven*, 1845, its first stanzas), A. Lincoln (the Gettysburg Address, 1863), L. Carroll (*Jabberwocky*,
//! *The Walrus and the Carpenter*, 1871), R. Kipling (*If—*, 1910), the *Constitution of the United States* (preamble
//! and, of the amendments, one to ten). In print their lines break elsewhere.

/// Names and texts.
pub const CORPUS: [(&str, &str); 12] = [
    ("declaration.txt", include_str!("corpus/declaration.txt")),
    ("ecclesiastes.txt", include_str!("corpus/ecclesiastes.txt")),
    ("genesis.txt", include_str!("corpus/genesis.txt")),
    ("gettysburg.txt", include_str!("corpus/gettysburg.txt")),
    ("hamlet.txt", include_str!("corpus/hamlet.txt")),
    ("if.txt", include_str!("corpus/if.txt")),
    ("jabberwocky.txt", include_str!("corpus/jabberwocky.txt")),
    ("ozymandias.txt", include_str!("corpus/ozymandias.txt")),
    ("raven.txt", include_str!("corpus/raven.txt")),
    ("rights.txt", include_str!("corpus/rights.txt")),
    ("sonnets.txt", include_str!("corpus/sonnets.txt")),
    ("walrus.txt", include_str!("corpus/walrus.txt")),
];
