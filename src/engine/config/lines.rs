//! On which line of a TOML file a key stands.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The line, from 1, of a key or table such as `strategy.batch`, `strategy.emitters[1].sigma` (the second table of a list) or
/// `variants[b].set` (the table of a list whose `name` is b); none where the text has no such key.
pub(super) fn line(text: &str, path: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let start = in_table(document.get_ref(), path)?;
    Some(1 + text[..start].matches('\n').count())
}

/// Where a path begins that starts with a key of this table. Keys in quotes may have points of their own.
fn in_table(table: &DeTable<'_>, path: &str) -> Option<usize> {
    table.iter().find_map(|(key, value)| {
        let rest = path.strip_prefix(key.get_ref().as_ref())?;
        if rest.is_empty() {
            Some(key.span().start)
        } else {
            in_value(value, rest)
        }
    })
}

/// The same of what follows a key: `.KEY` of a table, `[INDEX]` or `[NAME]` of a list.
fn in_value(value: &Spanned<DeValue<'_>>, rest: &str) -> Option<usize> {
    if let Some(path) = rest.strip_prefix('.') {
        return in_table(value.get_ref().as_table()?, path);
    }
    let (which, rest) = rest.strip_prefix('[')?.split_once(']')?;
    let list = value.get_ref().as_array()?;
    let is_called = |item: &&Spanned<DeValue<'_>>| {
        let name = item.get_ref().as_table().and_then(|table| table.get("name"));
        name.and_then(|name| name.get_ref().as_str()) == Some(which)
    };
    let item = list
        .iter()
        .find(is_called)
        .or_else(|| list.get(which.parse::<usize>().ok()?))?;
    if rest.is_empty() {
        Some(item.span().start)
    } else {
        in_value(item, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_key_is_found_however_its_table_is_written() {
        let text = "seed = 1\ntask.name = \"arm\"\nbudget = { generations = 5, evaluations = 6 }\n\n[strategy] # batch = 3\n\"batch\" = 4\n";
        let found = [
            "seed",
            "task",
            "task.name",
            "budget",
            "budget.evaluations",
            "strategy",
            "strategy.batch",
        ];
        assert_eq!(found.map(|path| line(text, path)), [1, 2, 2, 3, 3, 5, 6].map(Some));
        for absent in [
            "strategy.bat",
            "strategy.batch.x",
            "task.dof",
            "archive",
            "seed.x",
            "batch",
        ] {
            assert_eq!(line(text, absent), None, "{absent}");
        }
    }

    #[test]
    fn tables_of_a_list_are_told_apart_by_index_and_by_name() {
        let text = "[strategy]\nname = \"x\"\n[[strategy.emitters]]\nsigma = 1\n\n[[strategy.emitters]]\nkind = \"y\"\nsigma = 2\n[strategy.emitters.sub]\nz = 0\n\
                    [[variants]]\nname = \"a\"\n[[variants]]\nname = \"b\"\nset = { strategy.batch = 20 }\n";
        let found = [
            "strategy.emitters[0].sigma",
            "strategy.emitters[1].sigma",
            "strategy.emitters[1]",
            "strategy.emitters[1].sub.z",
            "variants[0].name",
            "variants[b].name",
            "variants[b].set.strategy.batch",
        ];
        assert_eq!(found.map(|path| line(text, path)), [4, 8, 6, 10, 12, 14, 15].map(Some));
        assert_eq!(line(text, "strategy.emitters[0].kind"), None);
        assert_eq!(line(text, "strategy.emitters[2]"), None);
        assert_eq!(line(text, "variants[c]"), None);
    }

    #[test]
    fn what_stands_in_a_string_is_no_key() {
        let text = "[task]\nname = '''\nbatch = 3\n[strategy]\n'''\n[parameters]\n\"strategy.batch\" = [1]\nstrategy.sigma = [\n  2,\n]\n[strategy]\nbatch = 4\n";
        let found = [
            "strategy",
            "strategy.batch",
            "parameters.strategy.batch",
            "parameters.strategy.sigma",
        ];
        assert_eq!(found.map(|path| line(text, path)), [11, 12, 7, 8].map(Some));
    }
}
