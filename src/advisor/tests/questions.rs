//! What is asked, and answers that can be used.

use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use super::server::{Reply, Server, say, status};
use super::*;
use crate::advisor::test;
use crate::model::advice::Answer;
use crate::model::approval::{By, Ends, Proposal};
use crate::model::event::Event;
use crate::model::spec::Price;
use crate::model::template::Template;

fn content(request: &server::Request, message: usize) -> String {
    let text = request.body["messages"][message]["content"].as_str();
    text.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_plan_names_a_base_and_what_matters() {
    let answer = json!({
        "base": {"BATCH": "16", "SEQS": 32, "RATE": "1e-4", "RANK": 4, "HOST": "a"},
        "priority": ["SEQS", "SEQS", "RATE", "BATCH"],
        "comment": "Larger\n batches  help.",
    });
    let (came, server) = ask(Question::Plan, vec![say(&answer.to_string())]).await;
    let Ok(Answer::Plan { base, priority }) = came.advice.answer else {
        panic!("{:?}", came.advice);
    };
    assert_eq!(
        base.key(),
        "BATCH=16|HOST=a|MODE=fast|RANK=4|RATE=0.0001|SEQS=32"
    );
    // Two at most, the most important.
    assert_eq!(priority, ["SEQS".into(), "RATE".into()]);
    assert_eq!(came.advice.comment.as_deref(), Some("Larger batches help."));
    let usage = came.advice.usage;
    assert_eq!((usage.requests, usage.prompt_tokens), (1, 100));
    assert_eq!(usage.completion_tokens, 10);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].head.starts_with("post /v1/chat/completions"));
    assert!(
        requests[0]
            .head
            .contains("authorization: bearer sk-hunter2")
    );
    assert_eq!(requests[0].body["max_tokens"], 500);
    assert_eq!(requests[0].body.get("temperature"), None);
    assert_snapshot!(content(&requests[0], 0));
    assert_snapshot!(content(&requests[0], 1));
    let schema = &requests[0].body["response_format"];
    assert_snapshot!(serde_json::to_string_pretty(schema).expect("JSON"));
    let line: Json = serde_json::from_str(&came.dialogue[0].line()).expect("JSON");
    assert_eq!(line["question"], "plan");
    assert_eq!(line["format"], "json_schema");
    assert_eq!(line["status"], 200);
    assert_eq!(line["messages"][1]["content"], content(&requests[0], 1));
}

#[tokio::test]
async fn the_next_value_of_one_parameter() {
    let study = study();
    let question = value_of(&study, "SEQS");
    let (came, server) = ask(question, vec![say(r#"{"value": 40, "comment": ""}"#)]).await;
    let Ok(Answer::Params(params)) = came.advice.answer else {
        panic!("{:?}", came.advice);
    };
    assert_eq!(params.key(), "BATCH=8|HOST=a|MODE=fast|RATE=0.001|SEQS=40");
    assert_eq!(came.advice.comment, None);
    let asked = content(&server.requests()[0], 1);
    assert_snapshot!(asked);
    // What a trial has printed is none of the model's business.
    assert!(!asked.contains("IGNORE"));

    let (came, _) = ask(value_of(&study, "RATE"), vec![say(r#"{"value": null}"#)]).await;
    assert_eq!(came.advice.answer, Ok(Answer::Enough));
    // 8, 16 and 32 were tried: there is nothing to ask.
    let (came, server) = ask(value_of(&study, "BATCH"), Vec::new()).await;
    assert_eq!(came.advice.answer, Ok(Answer::Enough));
    assert!(server.requests().is_empty() && came.dialogue.is_empty());
    for protected in ["HOST", "MODE", "NONE"] {
        let (came, server) = ask(value_of(&study, protected), Vec::new()).await;
        let why = came.advice.answer.expect_err("not to be asked");
        assert_eq!(why, format!("{protected} is not the advisor's to choose"));
        assert!(server.requests().is_empty());
    }
}

/// What a person has refused is told, not on offer, and no answer of use.
#[tokio::test]
async fn what_a_person_has_refused_is_not_proposed_again() {
    let mut simulation = simulation();
    let spec = simulation.study.spec().clone();
    let baseline = spec.space.baseline().expect("params");
    for (name, value) in [("SEQS", "40"), ("RATE", "0.0001")] {
        let params = spec.space.with(&baseline, name, &value.into());
        let proposal = Proposal {
            number: 1,
            params: params.expect("allowed"),
            choice: None,
            against: None,
            parameter: None,
        };
        simulation.happen(Event::ApprovalAsked(proposal.into()));
        let (by, ends) = (By::Timeout, Ends::Proposal);
        simulation.happen(Event::ApprovalRefused { by, ends });
    }
    let study = simulation.study;
    let question = value_of(&study, "SEQS");
    let replies = vec![say(r#"{"value": 40}"#), say(r#"{"value": 41}"#)];
    let (came, server) = ask_about(&study, question, replies).await;
    assert!(matches!(came.advice.answer, Ok(Answer::Params(_))));
    let why = "a person has refused these very params: propose others";
    assert_eq!(came.advice.refused, [why]);
    let asked = content(&server.requests()[0], 1);
    let told = "proposed again:\n- SEQS=40\n";
    assert!(asked.contains(told) && !asked.contains("0.0001"), "{asked}");

    let (_, server) = ask_about(&study, Question::Params, vec![say("{}")]).await;
    let asked = content(&server.requests()[0], 1);
    let told = "proposed again:\n- SEQS=40\n- RATE=0.0001\n";
    assert!(asked.contains(told), "{asked}");
}

/// A plan in the midst of a study: what the fall-back has gone through is over.
#[tokio::test]
async fn a_later_plan_is_about_what_is_left() {
    let mut simulation = simulation();
    let study = &simulation.study;
    let question = value_of(study, "SEQS");
    simulation.advise(Question::Plan, Err("500".to_owned()));
    simulation.advise(question, Ok(Answer::Enough));
    let plan = |names: &str| say(&format!(r#"{{"base": {{}}, "priority": {names}}}"#));
    let replies = vec![plan(r#"["SEQS"]"#), plan(r#"["SEQS", "RATE", "BATCH"]"#)];
    let (came, server) = ask_about(&simulation.study, Question::Plan, replies).await;
    let Ok(Answer::Plan { priority, .. }) = came.advice.answer else {
        panic!("{:?}", came.advice);
    };
    // Two at most, of which one is over.
    assert_eq!(priority, ["RATE".into()]);
    assert_eq!(
        came.advice.refused,
        ["all that `priority` has is over: name others"]
    );
    let asked = content(&server.requests()[0], 1);
    assert!(asked.contains("not to be planned again: SEQS\n"), "{asked}");
    // It goes on from the best.
    assert!(asked.contains("- BATCH = 16\n"), "{asked}");
    let format = &server.requests()[0].body["response_format"];
    let priority = format.pointer("/json_schema/schema/properties/priority");
    let priority = priority.expect("a schema");
    assert_eq!(priority["items"]["enum"], json!(["BATCH", "RATE", "RANK"]));
    assert_eq!(priority["maxItems"], 1);
}

#[tokio::test]
async fn numbers_in_other_spellings_and_texts_around() {
    let text = "Let me think.\n```json\n{\"params\": {\"BATCH\": 16, \"SEQS\": \"24.0\", \
                \"RATE\": \"1E-3\", \"RANK\": null, \"other\": null}, \"note\": 1}\n```\nDone.";
    let (came, _) = ask(Question::Params, vec![say(text)]).await;
    let Ok(Answer::Params(params)) = came.advice.answer else {
        panic!("{:?}", came.advice);
    };
    assert_eq!(
        params.key(),
        "BATCH=16|HOST=a|MODE=fast|RANK=5|RATE=0.001|SEQS=24"
    );
}

#[tokio::test]
async fn a_summary_is_text_for_people() {
    for said in [
        r#"{"summary": "It got faster.\n\u001b[31mMuch\u202e faster."}"#,
        "It got faster.\n\u{1b}[31mMuch\u{202e} faster.",
    ] {
        let (came, _) = ask(Question::Summary, vec![say(said)]).await;
        assert_eq!(
            came.advice.answer,
            Ok(Answer::Summary(
                "It got faster.\nMuch\\u{202e} faster.".to_owned()
            ))
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_refused_is_told_why_once() {
    let first = r#"{"params": {"BATCH": "64", "SEQS": 60, "HOST": "b", "MODEL": 1}}"#;
    let second = r#"{"params": {"BATCH": "16"}}"#;
    let third = r#"{"params": {"SEQS": 20}, "comment": "better"}"#;
    let (came, server) = ask(Question::Params, vec![say(first), say(third)]).await;
    assert!(came.advice.answer.is_ok());
    let why = "BATCH: `64` is not allowed: choose one of 8, 16, 32; `HOST` is protected: leave it \
               out; there is no parameter `MODEL`";
    assert_eq!(came.advice.refused, [why]);
    assert_eq!(came.dialogue[0].refused.as_deref(), Some(why));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(
        requests[1].body["messages"].as_array().map(Vec::len),
        Some(4)
    );
    assert_eq!(content(&requests[1], 2), first);
    assert_eq!(
        content(&requests[1], 3),
        format!(
            "That answer is refused: {why}. Answer the same question again, by the same schema."
        )
    );
    assert_eq!(came.advice.usage.tokens(), 220);

    let (came, server) = ask(Question::Params, vec![say(first), say(second), say(third)]).await;
    assert_eq!(
        came.advice.answer,
        Err("its answer was refused twice: trial 2 had these very params".to_owned())
    );
    assert_eq!(server.requests().len(), 2);
    assert_eq!(came.dialogue.len(), 2);
}

#[tokio::test]
async fn each_mistake_has_its_words() {
    let study = study();
    let value = || value_of(&study, "SEQS");
    let cases = [
        (
            value(),
            r#"{"value": 65}"#,
            "SEQS: `65` is not allowed: choose a whole number from 1 to 64",
        ),
        (
            value(),
            r#"{"value": 2.5}"#,
            "SEQS: `2.5` is not allowed: choose a whole number from 1 to 64",
        ),
        (value(), r#"{"value": [2]}"#, "SEQS must be one value"),
        (
            value(),
            r#"{"value": true}"#,
            "SEQS: `true` is not allowed: choose a whole number from 1 to 64",
        ),
        (
            value(),
            r#"{"value": 50}"#,
            "the rule `SEQS <= 48` does not hold",
        ),
        (value(), r#"{"next": 5}"#, "it has no `value`"),
        (
            value(),
            r#"{"value": 5, "value": 6}"#,
            "it is not valid JSON: `value` is in it twice at line 1 column 24",
        ),
        (value(), "Five.", "there is no JSON object in it"),
        (value(), "", "it is empty"),
        (
            value_of(&study, "RATE"),
            r#"{"value": 1e999}"#,
            "it is not valid JSON: number out of range at line 1 column 15",
        ),
        (
            value_of(&study, "RATE"),
            r#"{"value": 0.001}"#,
            "trial 1 had these very params",
        ),
        (
            Question::Params,
            r#"{"params": [1]}"#,
            "`params` must be an object of names and values",
        ),
        (
            Question::Params,
            r#"{"params": {"RANK": 3}}"#,
            "RANK has no effect here: it counts only when BATCH == 16",
        ),
        (
            Question::Params,
            r#"{"params": {}}"#,
            "trial 1 had these very params",
        ),
        (
            Question::Plan,
            r#"{"base": {}, "priority": []}"#,
            "`priority` is empty",
        ),
        (
            Question::Plan,
            r#"{"base": {}, "priority": "SEQS"}"#,
            "`priority` must be a list of names",
        ),
        (
            Question::Plan,
            r#"{"base": {}, "priority": ["HOST"]}"#,
            "`HOST` is protected: leave it out",
        ),
        (
            Question::Plan,
            r#"{"base": {}, "priority": ["RANK"]}"#,
            "`priority` has RANK, which has no effect with this base",
        ),
        (
            Question::Plan,
            r#"{"priority": ["SEQS"]}"#,
            "it has no `base`",
        ),
        (
            Question::Summary,
            r#"{"summary": " "}"#,
            "`summary` is empty",
        ),
        (
            Question::Summary,
            r#"{"summary": "#,
            "it is not valid JSON: EOF while parsing a value at line 1 column 12",
        ),
    ];
    for (question, said, expected) in cases {
        let (came, _) = ask(question, vec![say(said), say(said)]).await;
        assert_eq!(came.advice.refused, [expected], "{said}");
    }
}

#[tokio::test]
async fn what_a_server_does_not_do_is_asked_otherwise_and_remembered() {
    let good = r#"{"value": 40}"#;
    let server = Server::start(vec![
        status(400, "response_format json_schema is not supported"),
        status(500, "Input should be 'text' or 'json_object'"),
        say(&format!("Here:\n```json\n{good}\n```")),
        say(good),
    ])
    .await;
    let (advisor, access, study) = (advisor(&server.base_url), access(), study());
    for requests in [3, 1] {
        let question = value_of(&study, "SEQS");
        let came = consult(&advisor, &access, &study, question, Usage::default()).await;
        assert!(came.advice.answer.is_ok(), "{:?}", came.advice);
        assert_eq!(came.advice.usage.requests, requests);
        assert!(came.advice.refused.is_empty());
    }
    let requests = server.requests();
    let kind = |at: usize| requests[at].body.pointer("/response_format/type").cloned();
    assert_eq!(kind(0), Some("json_schema".into()));
    assert_eq!(kind(1), Some("json_object".into()));
    let object = &requests[1].body["response_format"]["schema"];
    assert_eq!(
        *object,
        requests[0].body["response_format"]["json_schema"]["schema"]
    );
    assert_eq!((kind(2), kind(3)), (None, None));
    let plain = content(&requests[2], 1);
    assert!(
        plain.contains("by this schema") && plain.contains("\"minimum\":1"),
        "{plain}"
    );
}

#[tokio::test]
async fn a_newer_server_wants_other_words() {
    let server = Server::start(vec![
        status(
            400,
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        ),
        status(
            400,
            "Unsupported value: 'temperature' does not support 0.5 with this model.",
        ),
        say(r#"{"value": 40}"#),
    ])
    .await;
    let mut advisor = advisor(&server.base_url);
    advisor.temperature = crate::model::value::Finite::new(0.5);
    let study = study();
    let question = value_of(&study, "SEQS");
    let came = consult(&advisor, &access(), &study, question, Usage::default()).await;
    assert!(came.advice.answer.is_ok());
    let requests = server.requests();
    assert_eq!(requests[0].body["temperature"], 0.5);
    assert_eq!(requests[2].body["max_completion_tokens"], 500);
    assert_eq!(requests[2].body.get("max_tokens"), None);
    assert_eq!(requests[2].body.get("temperature"), None);
    assert_eq!(requests[2].body["response_format"]["type"], "json_schema");
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_asked_for_again() {
    let cut = Reply::Cut(r#"{"value": 4"#.to_owned(), "length");
    let study = study();
    let (came, _) = ask(value_of(&study, "SEQS"), vec![cut, say(r#"{"value": 40}"#)]).await;
    assert!(came.advice.answer.is_ok());
    assert_eq!(
        came.advice.refused,
        ["it was cut off, being too long: be brief"]
    );
    // Even where it happens to be whole.
    let cut = || Reply::Cut(r#"{"value": 4}"#.to_owned(), "length");
    let (came, _) = ask(value_of(&study, "SEQS"), vec![cut(), cut()]).await;
    assert!(came.advice.answer.is_err());
    let filtered = || Reply::Cut(String::new(), "content_filter");
    let (came, _) = ask(value_of(&study, "SEQS"), vec![filtered(), filtered()]).await;
    assert_eq!(came.advice.refused, ["the server's filter has cut it off"]);
}

#[tokio::test]
async fn tokens_and_cost_are_counted_and_limited() {
    let server = Server::start(Vec::new()).await;
    let mut advisor = advisor(&server.base_url);
    let study = study();
    advisor.max_tokens = Some(10_000);
    advisor.price = Some(Price {
        prompt: 2.0,
        completion: 8.0,
    });
    let spent = Usage {
        requests: 9,
        prompt_tokens: 9000,
        completion_tokens: 500,
    };
    let cost = advisor.cost(&spent).expect("a price");
    assert!((cost - 0.022).abs() < 1e-12, "{cost}");
    assert!(advisor.is_used_up(&spent));
    let question = value_of(&study, "SEQS");
    let came = consult(&advisor, &access(), &study, question, spent).await;
    assert_eq!(
        came.advice.answer.expect_err("no answer"),
        "the tokens of the study are used up: 9500 of 10000 (`max_tokens` in [advisor])"
    );
    assert!(server.requests().is_empty());
    // What is left bounds the answer.
    let body = json!({"choices": [{"message": {"content": "{\"value\": null}"}}]});
    let uncounted = Reply::Status(200, "", body.to_string());
    let server = Server::start(vec![uncounted, say(r#"{"value": 40}"#)]).await;
    advisor.base_url.clone_from(&server.base_url);
    let access = access();
    let mut spent = Usage::default();
    for expected in [500, 200] {
        let question = value_of(&study, "SEQS");
        let came = consult(&advisor, &access, &study, question, spent).await;
        assert!(came.advice.answer.is_ok());
        let last = server.requests().pop().expect("a request");
        assert_eq!(last.body["max_tokens"], expected);
        spent.prompt_tokens = 9800 - came.advice.usage.prompt_tokens;
    }
}

#[tokio::test]
async fn a_server_that_counts_nothing_is_guessed_at() {
    let body = json!({"choices": [{"message": {"content": "{\"value\": 40}"}}]});
    let reply = Reply::Status(200, "", body.to_string());
    let study = study();
    let (came, _) = ask(value_of(&study, "SEQS"), vec![reply]).await;
    assert!(came.advice.answer.is_ok());
    assert!(came.dialogue[0].estimated);
    let usage = came.advice.usage;
    assert_eq!(usage.completion_tokens, 5);
    assert!((200..2000).contains(&usage.prompt_tokens), "{usage:?}");
}

#[tokio::test]
async fn an_owner_puts_questions_in_words_of_their_own() {
    let server = Server::start(vec![say(r#"{"value": 40}"#)]).await;
    let mut advisor = advisor(&server.base_url);
    let own = "{{ parameter }} ({{ domain }}) of {{ study }}?\n";
    advisor.prompts.value = Some(Template::new(own).expect("a template"));
    advisor.language = Language::Both;
    let study = study();
    let question = value_of(&study, "SEQS");
    consult(&advisor, &access(), &study, question, Usage::default()).await;
    let requests = server.requests();
    assert_eq!(
        content(&requests[0], 1),
        "SEQS (a whole number from 1 to 64, for instance 1, 12, 22, 43) of made-up?"
    );
    assert!(content(&requests[0], 0).contains("简体中文"));
}

#[tokio::test]
async fn a_test_says_how_the_server_wants_to_be_asked() {
    let server = Server::start(vec![status(400, "no json_schema"), say(r#"{"value": 3}"#)]).await;
    let tested = test(&advisor(&server.base_url), &access())
        .await
        .expect("an answer");
    assert_eq!(tested.model, "a-model-2026");
    assert_eq!((tested.format, tested.keeps_format), ("json_object", true));
    assert_eq!(tested.usage.requests, 2);
    let server = Server::start(vec![say("Hello!")]).await;
    let tested = test(&advisor(&server.base_url), &access())
        .await
        .expect("an answer");
    assert!(!tested.keeps_format);
}
