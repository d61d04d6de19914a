//! Variants that break what concurrent code often gets wrong besides its orderings: a wake-up that is not sent, a
//! condition that is not looked at again, a retry that is not made, a destructor that does nothing, a bound off by one.

use std::ops::Range;

use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::source::{Edit, line_of};

/// What a generated variant changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A memory ordering or a fence.
    Ordering,
    /// Sleeping or waking up.
    WakeUp,
    /// A compare-exchange that may fail for no reason.
    Retry,
    /// What one thread alone can see as well.
    Sequential,
}

/// A variant of the solution made without an author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// What it changes.
    pub kind: Kind,
    /// In which line.
    pub line: usize,
    /// What it does there, in a few words.
    pub what: String,
    /// What the place becomes, as an author writes it into `equivalent`.
    pub becomes: String,
    /// How it comes out of the solution.
    pub edits: Vec<Edit>,
}

/// All such variants of `source`, in the order of the text.
///
/// # Errors
/// If `source` is no Rust.
pub fn breakages(source: &str) -> syn::Result<Vec<Generated>> {
    let file = syn::parse_file(source)?;
    let mut finder = Finder {
        source,
        found: Vec::new(),
    };
    finder.visit_file(&file);
    let mut found = finder.found;
    found.sort_by_key(|variant| variant.edits[0].range.start);
    Ok(found)
}

/// Whether an item is built for unit tests alone.
pub fn is_only_for_tests(item: &syn::Item) -> bool {
    let attributes = match item {
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        let is_test = |name: &syn::Path| name.is_ident("test");
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.parse_args().is_ok_and(|name| is_test(&name))
    })
}

/// Whether a macro only checks: weakening what it looks at breaks nothing.
pub fn is_assertion(name: &syn::Path) -> bool {
    name.segments
        .last()
        .is_some_and(|last| last.ident.to_string().contains("assert"))
}

struct Finder<'a> {
    source: &'a str,
    found: Vec<Generated>,
}

impl Finder<'_> {
    fn add(&mut self, kind: Kind, what: impl Into<String>, becomes: &str, edits: Vec<Edit>) {
        self.found.push(Generated {
            kind,
            line: line_of(self.source, edits[0].range.start),
            what: what.into(),
            becomes: becomes.to_owned(),
            edits,
        });
    }

    fn text(&self, range: Range<usize>) -> &str {
        self.source.get(range).unwrap_or("")
    }

    /// `loop { … }` with a compare-exchange in it: the body once, and out.
    fn cut_loop(&mut self, label: Option<&syn::Label>, body: &syn::Block) {
        let mut own = OwnContinues::default();
        own.visit_block(body);
        let end = body.span().byte_range().end.saturating_sub(1);
        let mut edits: Vec<Edit> = own
            .continues
            .into_iter()
            .map(|range| Edit::new(range, "break"))
            .collect();
        let target = label.map_or_else(String::new, |label| format!(" {}", label.name));
        edits.push(Edit::new(end..end, format!("; break{target};\n")));
        self.add(Kind::Retry, "one try instead of a loop", "break", edits);
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_only_for_tests(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let is_drop = item.trait_.as_ref().is_some_and(|(name, _)| {
            name.segments
                .last()
                .is_some_and(|last| last.ident == "Drop")
        });
        for member in &item.items {
            if let syn::ImplItem::Fn(function) = member
                && is_drop
                && function.sig.ident == "drop"
                && !function.block.stmts.is_empty()
            {
                let body = function.block.span().byte_range();
                let edits = vec![Edit::new(body, "{}")];
                self.add(Kind::Sequential, "drop does nothing", "{}", edits);
            }
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let method = call.method.to_string();
        let wakes = ["notify_one", "notify_all", "unpark", "wake", "wake_by_ref"];
        if wakes.contains(&method.as_str()) && call.args.is_empty() {
            let whole = call.span().byte_range();
            let receiver = self.text(call.receiver.span().byte_range()).to_owned();
            let edits = vec![Edit::new(whole, format!("{{ let _ = &{receiver}; }}"))];
            self.add(Kind::WakeUp, format!("{method} removed"), "", edits);
        }
        if method == "notify_all" && call.args.is_empty() {
            let edits = vec![Edit::new(call.method.span().byte_range(), "notify_one")];
            self.add(
                Kind::WakeUp,
                "notify_all to notify_one",
                "notify_one",
                edits,
            );
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_while(&mut self, expr: &'ast syn::ExprWhile) {
        let mut calls = Calls::default();
        calls.visit_expr(&expr.cond);
        let retries_in_condition = calls.retries;
        calls.visit_block(&expr.body);
        let keyword = expr.while_token.span().byte_range();
        // A labelled `if` is none; what breaks out of it does not compile and is left out later.
        let start = match &expr.label {
            Some(label) => label.span().byte_range().start,
            None => keyword.start,
        };
        if calls.waits {
            let edits = vec![Edit::new(start..keyword.end, "if")];
            self.add(Kind::WakeUp, "while around a wait to if", "if", edits);
        } else if retries_in_condition {
            let edits = vec![Edit::new(start..keyword.end, "if")];
            self.add(Kind::Retry, "one try instead of a loop", "if", edits);
        } else if calls.retries {
            self.cut_loop(expr.label.as_ref(), &expr.body);
        }
        visit::visit_expr_while(self, expr);
    }

    fn visit_expr_loop(&mut self, expr: &'ast syn::ExprLoop) {
        let mut calls = Calls::default();
        calls.visit_block(&expr.body);
        if calls.retries {
            self.cut_loop(expr.label.as_ref(), &expr.body);
        }
        visit::visit_expr_loop(self, expr);
    }

    fn visit_expr_binary(&mut self, expr: &'ast syn::ExprBinary) {
        let becomes = match expr.op {
            syn::BinOp::Lt(_) => Some("<="),
            syn::BinOp::Gt(_) => Some(">="),
            _ => None,
        };
        if let Some(becomes) = becomes {
            let operator = expr.op.span().byte_range();
            let what = format!("{} to {becomes}", self.text(operator.clone()));
            self.add(
                Kind::Sequential,
                what,
                becomes,
                vec![Edit::new(operator, becomes)],
            );
        }
        visit::visit_expr_binary(self, expr);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if is_assertion(&call.path) {
            return;
        }
        let arguments = Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        if let Ok(arguments) = call.parse_body_with(arguments) {
            for argument in &arguments {
                Visit::visit_expr(self, argument);
            }
        }
    }
}

/// What a loop calls in its own turns.
#[derive(Default)]
struct Calls {
    waits: bool,
    retries: bool,
}

impl<'ast> Visit<'ast> for Calls {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        match call.method.to_string().as_str() {
            "wait" | "wait_timeout" => self.waits = true,
            "compare_exchange_weak" => self.retries = true,
            _ => {}
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(path) = &*call.func
            && let Some(last) = path.path.segments.last()
        {
            match last.ident.to_string().as_str() {
                "park" | "park_timeout" => self.waits = true,
                "compare_exchange_weak" => self.retries = true,
                _ => {}
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_loop(&mut self, _: &'ast syn::ExprLoop) {}
    fn visit_expr_while(&mut self, _: &'ast syn::ExprWhile) {}
    fn visit_expr_for_loop(&mut self, _: &'ast syn::ExprForLoop) {}
    fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
}

/// The `continue`s that belong to a loop itself.
#[derive(Default)]
struct OwnContinues {
    continues: Vec<Range<usize>>,
}

impl<'ast> Visit<'ast> for OwnContinues {
    fn visit_expr_continue(&mut self, expr: &'ast syn::ExprContinue) {
        self.continues.push(expr.continue_token.span().byte_range());
    }

    fn visit_expr_loop(&mut self, _: &'ast syn::ExprLoop) {}
    fn visit_expr_while(&mut self, _: &'ast syn::ExprWhile) {}
    fn visit_expr_for_loop(&mut self, _: &'ast syn::ExprForLoop) {}
    fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::source::apply;

    fn bodies(body: &str) -> Vec<String> {
        let source = format!("fn f() {{ {body} }}");
        breakages(&source)
            .unwrap()
            .iter()
            .map(|variant| {
                let text = apply(&source, &variant.edits);
                text[9..text.len() - 2].to_owned()
            })
            .collect()
    }

    #[test]
    fn wake_ups_are_removed_and_narrowed() {
        assert_eq!(
            bodies("self.free.notify_all();"),
            ["{ let _ = &self.free; };", "self.free.notify_one();"]
        );
        assert_eq!(bodies("thread.unpark()"), ["{ let _ = &thread; }"]);
        assert!(bodies("log.wake(3)").is_empty());
    }

    #[test]
    fn a_wait_is_looked_at_once() {
        assert_eq!(
            bodies("while *taken { taken = free.wait(taken).unwrap(); }"),
            ["if *taken { taken = free.wait(taken).unwrap(); }"]
        );
        assert_eq!(
            bodies("'a: while !x.load(o) { thread::park(); }"),
            ["if !x.load(o) { thread::park(); }"]
        );
        assert!(bodies("while !x.load(o) { hint::spin_loop(); }").is_empty());
        assert!(bodies("while step() { loop { y = c.wait(y); } }").is_empty());
    }

    #[test]
    fn a_retry_is_not_made() {
        assert_eq!(
            bodies("while x.compare_exchange_weak(0, 1, o, o).is_err() { relax(); }"),
            ["if x.compare_exchange_weak(0, 1, o, o).is_err() { relax(); }"]
        );
        let cut = bodies(
            "loop { match x.compare_exchange_weak(a, b, o, o) { Ok(_) => return, Err(c) => { a = c; continue; } } }",
        );
        assert_eq!(cut.len(), 1);
        assert!(cut[0].contains("{ a = c; break; }"), "{cut:?}");
        assert!(cut[0].ends_with("; break;\n}"), "{cut:?}");
        let inner = bodies("'out: loop { loop { x.compare_exchange_weak(a, b, o, o); } }");
        assert_eq!(inner.len(), 1);
    }

    #[test]
    fn bounds_move_by_one_and_destructors_do_nothing() {
        assert_eq!(bodies("if a < b { }"), ["if a <= b { }"]);
        assert_eq!(bodies("a > b && c <= d"), ["a >= b && c <= d"]);
        assert!(bodies("assert!(a < b); let v = Vec::<u8>::new();").is_empty());
        let source = "impl<T> Drop for A<T> { fn drop(&mut self) { free(); } }";
        let variants = breakages(source).unwrap();
        assert_eq!(variants.len(), 1);
        assert_eq!(
            apply(source, &variants[0].edits),
            "impl<T> Drop for A<T> { fn drop(&mut self) {} }"
        );
    }
}
