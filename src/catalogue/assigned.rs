//! The arguments among the words of a command.

/// A call of a program's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// The command: `sft`.
    pub command: &'a str,
    /// What it is given, in its order.
    pub given: Vec<Given<'a>>,
}

/// One argument that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given<'a> {
    /// Its name as it was typed, without `--`.
    pub name: &'a str,
    /// The index of the word that has the name.
    pub at: usize,
    /// The words that it takes, each with its index.
    pub values: Vec<(usize, &'a str)>,
}

/// The call of ms-swift in a command's words: `swift sft …`, `python -m swift
/// sft …` or `python -m swift.cli.sft …`, whatever stands before it.
pub fn swift<'a>(words: &[&'a str]) -> Option<Call<'a>> {
    let (start, command) = words.iter().enumerate().find_map(|(index, word)| {
        if let Some(command) = word.strip_prefix("swift.cli.")
            && index > 0
            && words[index - 1] == "-m"
            && command != "main"
        {
            return Some((index + 1, command));
        }
        let is_swift = *word == "swift.cli.main" || word.rsplit('/').next() == Some("swift");
        let next = words.get(index + 1).filter(|_| is_swift)?;
        Some((index + 2, *next))
    })?;
    if command.is_empty() || !command.starts_with(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    let mut given: Vec<Given<'a>> = Vec::new();
    // What follows a word that may vanish belongs to nobody for certain.
    let mut is_certain = false;
    for (at, word) in words.iter().enumerate().skip(start) {
        if word.starts_with("{%") {
            let last = given.last_mut().filter(|_| is_certain);
            if let Some(last) = last.filter(|last| last.values.is_empty()) {
                last.values.push((at, word));
            }
            is_certain = false;
        } else if let Some(option) = word.strip_prefix("--") {
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some((at, value))),
                None => (option, None),
            };
            is_certain = !name.contains("{{");
            if is_certain {
                let values = value.into_iter().collect();
                given.push(Given { name, at, values });
            }
        } else if let Some(last) = given.last_mut().filter(|_| is_certain) {
            last.values.push((at, word));
        }
    }
    Some(Call { command, given })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Option<String> {
        let words: Vec<&str> = line.split('|').collect();
        let call = swift(&words)?;
        let given = call.given.iter().map(|g| {
            let values: Vec<&str> = g.values.iter().map(|(_, value)| *value).collect();
            format!(" {}={}", g.name, values.join(","))
        });
        Some(call.command.to_owned() + &given.collect::<String>())
    }

    #[test]
    fn calls_are_found_behind_other_words() {
        let found = Some("sft model=m".to_owned());
        assert_eq!(shown("swift|sft|--model|m"), found);
        assert_eq!(shown("env|A=1|/venv/bin/swift|sft|--model=m"), found);
        assert_eq!(shown("python|-m|swift|sft|--model|m"), found);
        assert_eq!(shown("python3|-m|swift.cli.sft|--model|m"), found);
        assert_eq!(shown("python3|-m|swift.cli.main|sft|--model|m"), found);
        assert_eq!(shown("lm_eval|--model|hf"), None);
        assert_eq!(shown("swift"), None);
        assert_eq!(shown("swift|--help"), None);
    }

    #[test]
    fn words_belong_to_the_option_before_them() {
        let line = "swift|sft|--dataset|a|b|--max_steps|-1|--packing|{% if A %}--x{% endif %}|y|\
                    --learning_rate|{{ LR }}";
        let expected = "sft dataset=a,b max_steps=-1 packing={% if A %}--x{% endif %} \
                        learning_rate={{ LR }}";
        assert_eq!(shown(line).as_deref(), Some(expected));
    }
}
