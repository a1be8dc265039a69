use serde_json::json;

use super::*;

fn fill(source: &str, data: &Value, locale: &str) -> Result<String, ExprError> {
    let locale = Locale::parse(locale).expect("a locale of the test");
    Expression::parse(source)?.render(data, &locale)
}

#[test]
fn values_blocks_and_loops() {
    let data = json!({
        "first_name": "Maria & Zoë", "n": 3, "title": "Dr.", "nothing": null,
        "items": [{ "title": "A" }, { "title": "B" }], "customer": { "name": "Ada" },
    });
    let rows = [
        ("plain text", "plain text"),
        ("Hi {{first_name}}!", "Hi Maria & Zoë!"),
        ("{{{first_name}}}{{&first_name}}", "Maria & ZoëMaria & Zoë"),
        ("a {{~ n ~}} b", "a3b"),
        (r"\{{n}} is {{n}}", "{{n}} is 3"),
        ("{{! a }}{{!-- {{n}} --}}x", "x"),
        ("[{{nothing}}]", "[]"),
        ("a variable may be called {{title}}", "a variable may be called Dr."),
        ("{{title title}}", "Dr."),
        ("{{#each items}}{{@index}}{{title}} {{../first_name}};{{/each}}", "0A Maria & Zoë;1B Maria & Zoë;"),
        ("{{#each items as |m i|}}{{i}}{{m.title}}{{#unless @last}}, {{/unless}}{{/each}}", "0A, 1B"),
        ("{{#with customer as |c|}}{{name}} {{c.name}} {{../n}}{{/with}}", "Ada Ada 3"),
        ("{{#if absent}}yes{{else if n}}n{{else}}no{{/if}}", "n"),
        ("{{#each absent}}x{{else}}none{{/each}}{{#with absent}}x{{else}}none{{/with}}", "nonenone"),
        ("{{default absent customer.name}}", "Ada"),
        ("{{items.1.title}}{{items.[0].title}}", "BA"),
        ("{{lookup (lookup items 1) 'title'}}", "B"),
    ];
    for (source, text) in rows {
        assert_eq!(fill(source, &data, "en").as_deref(), Ok(text), "{source}");
    }
}
