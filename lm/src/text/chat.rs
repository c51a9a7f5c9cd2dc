//! Chat templates: the Jinja text by which a model's makers say how messages become a prompt, rendered as `transformers` renders it
//! (`apply_chat_template`): blocks trimmed, Python's string methods, `raise_exception`, `strftime_now`, Python's JSON.

use illume_core::{Error, Result};
use jiff::civil::Date;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, ErrorKind, UndefinedBehavior, context};
use regex::Regex;
use serde::Serialize;

use super::tokenizer::TextTokenizer;

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    pub content: String,
}

impl Message {
    pub fn new(role: &str, content: &str) -> Message {
        let (role, content) = (role.into(), content.into());
        Message { role, content }
    }
}

/// The name under which a template is compiled, which shows in its errors.
const NAME: &str = "chat_template";

/// A compiled chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    special: [Option<String>; 3],
}

impl ChatTemplate {
    /// The template of a tokenizer, if it has one. `date` is what templates that name the day are told, so that a run does not depend on
    /// the day it is made.
    ///
    /// # Errors
    /// It is not Jinja.
    pub fn of(tokenizer: &TextTokenizer, date: Date) -> Result<Option<ChatTemplate>> {
        let settings = tokenizer.settings();
        let special = [&settings.bos_token, &settings.eos_token, &settings.pad_token];
        let source = settings.chat_template.as_deref();
        source
            .map(|source| ChatTemplate::new(source, special.map(Option::clone), date))
            .transpose()
    }

    /// `special`: the texts of the first, the last and the padding token.
    ///
    /// # Errors
    /// The source is not Jinja.
    pub fn new(source: &str, special: [Option<String>; 3], date: Date) -> Result<ChatTemplate> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", move |format: &str| strftime(date, format));
        environment.add_filter("tojson", tojson);
        // An extension of transformers that marks the assistant's part, for training masks; it prints nothing.
        let marks = Regex::new(r"\{%-?\s*(end)?generation\s*-?%\}").expect("a constant expression");
        let source = marks.replace_all(source, "").into_owned();
        environment
            .add_template_owned(NAME, source)
            .map_err(|e| Error::input(format!("the model's chat template: {}", one_line(&e))))?;
        Ok(ChatTemplate { environment, special })
    }

    /// The text of a conversation; `generation` adds what an answer begins with.
    ///
    /// # Errors
    /// The template refuses the messages, or goes wrong.
    pub fn render(&self, messages: &[Message], generation: bool) -> Result<String> {
        let template = self.environment.get_template(NAME).expect("compiled by new");
        let [bos, eos, pad] = self.special.each_ref().map(|t| t.as_deref().unwrap_or_default());
        let text = template.render(context! {
            messages => messages,
            add_generation_prompt => generation,
            bos_token => bos,
            eos_token => eos,
            pad_token => pad,
            tools => Value::from(()),
            documents => Value::from(()),
        });
        text.map_err(|e| Error::input(format!("the model's chat template: {}", one_line(&e))))
    }
}

/// A template's error, with what it stands on.
fn one_line(error: &minijinja::Error) -> String {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), String::from);
    match error.line() {
        Some(line) => format!("{detail} (line {line})"),
        None => detail,
    }
}

fn raise_exception(message: String) -> std::result::Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
}

fn strftime(date: Date, format: &str) -> std::result::Result<String, minijinja::Error> {
    let text = jiff::fmt::strtime::format(format, date.at(0, 0, 0, 0));
    text.map_err(|e| minijinja::Error::new(ErrorKind::InvalidOperation, format!("strftime_now({format:?}): {e}")))
}

/// JSON as Python's `json.dumps(value, ensure_ascii=False)` writes it: a space behind `:` and `,`, nothing escaped for HTML.
fn tojson(value: &Value, options: Kwargs) -> std::result::Result<String, minijinja::Error> {
    let failed = |e: &dyn std::fmt::Display| minijinja::Error::new(ErrorKind::BadSerialization, e.to_string());
    let indent: Option<usize> = options.get("indent")?;
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let mut bytes = Vec::new();
    match indent {
        Some(n) => {
            let spaces = " ".repeat(n);
            let formatter = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
            let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
            value.serialize(&mut serializer).map_err(|e| failed(&e))?;
        }
        None => {
            let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Spaced);
            value.serialize(&mut serializer).map_err(|e| failed(&e))?;
        }
    }
    String::from_utf8(bytes).map_err(|e| failed(&e))
}

/// One line, with a space behind each separator.
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: Date = jiff::civil::date(2024, 7, 26);

    fn rendered(source: &str, messages: &[Message]) -> Result<String> {
        let special = [Some("<s>".to_string()), Some("</s>".to_string()), None];
        ChatTemplate::new(source, special, DATE)?.render(messages, true)
    }

    fn talk() -> Vec<Message> {
        vec![
            Message::new("system", "Be brief."),
            Message::new("user", " What is 2 + 3? "),
            Message::new("assistant", "5"),
            Message::new("user", "And 3 + 4?"),
        ]
    }

    /// In the manner of ChatML (Qwen2), with a default for the system message.
    #[test]
    fn a_template_of_the_chatml_kind_renders() {
        let source = "{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\\nYou help.<|im_end|>\\n' }}{%- endif %}\n\
                      {%- for message in messages %}\n    {{- '<|im_start|>' + message.role + '\\n' + message['content'] + '<|im_end|>\\n' }}\n\
                      {%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n";
        let text = rendered(source, &talk()[1..2]).unwrap();
        let expected = "<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\n What is 2 + 3? <|im_end|>\n<|im_start|>assistant\n";
        assert_eq!(text, expected);
        let text = rendered(source, &talk()[..2]).unwrap();
        assert!(
            text.starts_with("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user"),
            "{text}"
        );
    }

    /// In the manner of Llama 3: first token, slices, namespaces, methods of strings, the date.
    #[test]
    fn a_template_with_slices_namespaces_methods_and_the_date_renders() {
        let source = "{{- bos_token }}\n{%- set ns = namespace(turns=0) %}\n\
                      {%- if strftime_now is defined %}{%- set today = strftime_now('%d %b %Y') %}{%- endif %}\n\
                      {%- if not tools is defined %}{%- set tools = none %}{%- endif %}\n\
                      {%- if messages[0]['role'] == 'system' %}\n  {%- set system = messages[0]['content'].strip() %}\n  {%- set messages = messages[1:] %}\n{%- endif %}\n\
                      {{- today + '|' + system.upper() + '\\n' }}\n\
                      {%- for m in messages %}\n  {%- if m.role == 'assistant' %}{%- continue %}{%- endif %}\n  {%- set ns.turns = ns.turns + 1 %}\n\
                        {{- '[' ~ m.role.title() ~ '] ' + m.content | trim + eos_token }}\n{%- endfor %}\n{{- ns.turns }}{% generation %}{% endgeneration %}";
        let text = rendered(source, &talk()).unwrap();
        assert_eq!(
            text,
            "<s>26 Jul 2024|BE BRIEF.\n[User] What is 2 + 3?</s>[User] And 3 + 4?</s>2"
        );
    }

    #[test]
    fn blocks_are_trimmed_and_json_is_pythons() {
        let source = "A\n  {% if true %}\nB\n  {% endif %}\nC {{ {'a': [1, 2], 'b': \"<é'>\"} | tojson }}";
        assert_eq!(
            rendered(source, &[]).unwrap(),
            "A\nB\nC {\"a\": [1, 2], \"b\": \"<é'>\"}"
        );
        let indented = rendered("{{ [1, {'a': 2}] | tojson(indent=2) }}", &[]).unwrap();
        assert_eq!(indented, "[\n  1,\n  {\n    \"a\": 2\n  }\n]");
    }

    #[test]
    fn what_a_template_refuses_is_said_in_one_line() {
        let source =
            "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}";
        let message = rendered(source, &talk()).unwrap_err().to_string();
        assert!(message.contains("System role not supported"), "{message}");
        assert!(!message.contains('\n'), "{message}");
        let message = rendered("{% for %}", &talk()).unwrap_err().to_string();
        assert!(
            message.starts_with("the model's chat template: ") && message.contains("line 1"),
            "{message}"
        );
    }
}
