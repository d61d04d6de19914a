//! What stands in a `debug_assert!` is not there in a build with optimisation: nothing may depend on its having been done.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

use super::{is_punct, is_word, plain, without_tests};

/// The macros that are empty in a build with optimisation.
pub const NAMES: [&str; 3] = ["debug_assert", "debug_assert_eq", "debug_assert_ne"];

/// Operations that change what others see, wherever they stand.
const SHARED: [&str; 20] = [
    "store",
    "swap",
    "fetch_add",
    "fetch_sub",
    "fetch_and",
    "fetch_or",
    "fetch_xor",
    "fetch_nand",
    "fetch_max",
    "fetch_min",
    "fetch_update",
    "compare_exchange",
    "compare_exchange_weak",
    "fence",
    "notify_one",
    "notify_all",
    "unpark",
    "wake",
    "wake_by_ref",
    "drop_in_place",
];

/// Operations that change what they are called on. In a function that an assertion calls, that may be its own.
const OWN: [&str; 11] = [
    "push",
    "pop",
    "push_back",
    "push_front",
    "pop_back",
    "pop_front",
    "insert",
    "remove",
    "set",
    "drop",
    "send",
];

/// The functions of a crate that change what others see.
#[derive(Debug, Default)]
pub struct Functions(BTreeSet<String>);

impl Functions {
    pub fn of(files: &[&TokenStream]) -> Self {
        let mut bodies = BTreeMap::new();
        for file in files {
            collect(file, &mut bodies);
        }
        let mut found = BTreeSet::new();
        loop {
            let before = found.len();
            for (name, parts) in &bodies {
                let changes = |part: &Function| {
                    part.takes_unique_self || change_in(&part.body, &SHARED, &found).is_some()
                };
                if parts.iter().any(changes) {
                    found.insert(name.clone());
                }
            }
            if found.len() == before {
                return Self(found);
            }
        }
    }

    /// What in an assertion changes anything.
    pub fn change_in(&self, assertion: &TokenStream) -> Option<Ident> {
        let words = [&SHARED[..], &OWN[..]].concat();
        change_in(assertion, &words, &self.0)
    }
}

struct Function {
    takes_unique_self: bool,
    body: TokenStream,
}

fn collect(tokens: &TokenStream, bodies: &mut BTreeMap<String, Vec<Function>>) {
    let trees = without_tests(tokens);
    for (at, tree) in trees.iter().enumerate() {
        if let TokenTree::Group(group) = tree {
            collect(&group.stream(), bodies);
        }
        let Some(TokenTree::Ident(name)) = trees.get(at + 1).filter(|_| is_word(tree, "fn")) else {
            continue;
        };
        let rest = &trees[at + 2..];
        let group = |delimiter| {
            let end = rest.iter().take_while(|tree| !is_punct(tree, ';'));
            let mut groups = end.filter_map(|tree| match tree {
                TokenTree::Group(group) if group.delimiter() == delimiter => Some(group.stream()),
                _ => None,
            });
            groups.next()
        };
        if let (Some(parameters), Some(body)) =
            (group(Delimiter::Parenthesis), group(Delimiter::Brace))
        {
            let parameters: Vec<TokenTree> = parameters.into_iter().collect();
            let own = parameters.split(|tree| is_punct(tree, ',')).next();
            let takes_unique_self = own.is_some_and(|own| {
                let has = |word| own.iter().any(|tree| is_word(tree, word));
                own.first().is_some_and(|tree| is_punct(tree, '&')) && has("mut") && has("self")
            });
            bodies.entry(plain(name)).or_default().push(Function {
                takes_unique_self,
                body,
            });
        }
    }
}

/// The first call of one of `words` or of `functions`.
fn change_in(tokens: &TokenStream, words: &[&str], functions: &BTreeSet<String>) -> Option<Ident> {
    let trees = without_tests(tokens);
    for (at, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Group(group) => {
                if let Some(found) = change_in(&group.stream(), words, functions) {
                    return Some(found);
                }
            }
            TokenTree::Ident(word) if is_called(&trees[at + 1..]) => {
                let name = plain(word);
                let defined = at > 0 && is_word(&trees[at - 1], "fn");
                if !defined && (words.contains(&name.as_str()) || functions.contains(&name)) {
                    return Some(word.clone());
                }
            }
            _ => {}
        }
    }
    None
}

/// Whether `(…)` follows, or `::<…>(…)`.
fn is_called(rest: &[TokenTree]) -> bool {
    match rest {
        [TokenTree::Group(group), ..] => group.delimiter() == Delimiter::Parenthesis,
        [first, second, third, ..] => {
            is_punct(first, ':') && is_punct(second, ':') && is_punct(third, '<')
        }
        _ => false,
    }
}
