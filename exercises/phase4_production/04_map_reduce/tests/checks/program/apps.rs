//! What the jobs compute.

use std::collections::BTreeSet;

use map_reduce::App;

/// How often each word occurs.
pub struct WordCount;

impl App for WordCount {
    fn map(&self, _input: &str, text: &str) -> Vec<(String, String)> {
        words(text).map(|word| (word, "1".to_owned())).collect()
    }

    fn reduce(&self, _key: &str, values: &[String]) -> String {
        let count = |value: &String| value.parse::<usize>().expect("map wrote a number");
        values.iter().map(count).sum::<usize>().to_string()
    }
}

/// In which files each word occurs.
pub struct InvertedIndex;

impl App for InvertedIndex {
    fn map(&self, input: &str, text: &str) -> Vec<(String, String)> {
        let words: BTreeSet<String> = words(text).collect();
        words
            .into_iter()
            .map(|word| (word, input.to_owned()))
            .collect()
    }

    fn reduce(&self, _key: &str, values: &[String]) -> String {
        let files: BTreeSet<&str> = values.iter().map(String::as_str).collect();
        let files: Vec<&str> = files.into_iter().collect();
        format!("{} {}", values.len(), files.join(","))
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}
