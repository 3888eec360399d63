//! `caponier intent`: what a transaction or message would do, before anybody signs it.

use std::collections::BTreeMap;

use chain::evm::Account;
use intent::{Reading, Severity, read_transaction, typed::read_message};
use serde_json::{Value, json};

use super::answers;
use crate::{
    cli::{
        Place,
        intent::{Decode, IntentCommand, Simulate, Subject},
    },
    control::{Request, Response},
    exit::{Exit, Failure},
    intent::{self as subjects, Signable, report},
    output,
};

/// Most accounts screened for one transaction.
const SCREENED_MAX: usize = 1_024;

pub(super) async fn intent(command: IntentCommand, place: &Place, json: bool) -> Result<Exit, Failure> {
    match command {
        IntentCommand::Decode(decode) => self::decode(&decode, place, json).await,
        IntentCommand::Simulate(simulate) => Box::pin(self::simulate(&simulate, place, json)).await,
    }
}

async fn decode(options: &Decode, place: &Place, json: bool) -> Result<Exit, Failure> {
    let context = subjects::context(&options.subject)?;
    let (signable, signer, reading) = match &options.text.typed {
        Some(path) => {
            let message = subjects::typed(path)?;
            let from = &options.subject.from;
            let signer = from.as_deref().map(|text| subjects::account("--from", text)).transpose()?;
            let reading = read_message(&message, signer, &context);
            (Signable::Message(Box::new(message)), signer, reading)
        }
        None => {
            let envelope =
                subjects::transaction(options.text.tx.as_deref(), options.text.tx_file.as_deref())?;
            let signer = subjects::signer(&envelope, &options.subject)?;
            let reading = read_transaction(&envelope, signer, &context);
            (Signable::Transaction(Box::new(envelope)), signer, reading)
        }
    };
    let screened = screen(place, &options.subject, report::parties([&reading])).await?;
    let mut answer = Answer::new(&signable, signer.as_ref(), &reading);
    answer.screen(screened);
    Ok(answer.print(json))
}

#[cfg(not(feature = "simulation"))]
async fn simulate(_options: &Simulate, _place: &Place, _json: bool) -> Result<Exit, Failure> {
    let message = "this program was built without an EVM; build it with --features simulation";
    Err(Failure::new(Exit::Usage, message))
}

#[cfg(feature = "simulation")]
async fn simulate(options: &Simulate, place: &Place, json: bool) -> Result<Exit, Failure> {
    use crate::intent::execution;

    let mut context = subjects::context(&options.subject)?;
    let envelope = subjects::transaction(options.tx.as_deref(), options.tx_file.as_deref())?;
    let Some(signer) = subjects::signer(&envelope, &options.subject)? else {
        return Err(Failure::new(Exit::Usage, "who would sign it? --from ADDRESS"));
    };
    let executed = execution::execute(options, &envelope, signer, &mut context).await?;
    let reading = read_transaction(&envelope, Some(signer), &context);
    let differences = simulate::compare(&reading, signer, &executed.simulation);
    let parties = report::parties([&reading, &executed.simulation.done]);
    let screened = screen(place, &options.subject, parties).await?;
    let signable = Signable::Transaction(Box::new(envelope));
    let mut answer = Answer::new(&signable, Some(&signer), &reading);
    answer.execute(&reading, &executed, &differences);
    answer.screen(screened);
    Ok(answer.print(json))
}

/// What the lists of an installation say of everybody concerned; `None` if they were not asked.
async fn screen(
    place: &Place,
    subject: &Subject,
    parties: BTreeMap<Account, Vec<&'static str>>,
) -> Result<Option<Vec<Value>>, Failure> {
    if !subject.screen {
        return Ok(None);
    }
    if parties.len() > SCREENED_MAX {
        let message =
            format!("{} accounts are concerned, at most {SCREENED_MAX} are screened", parties.len());
        return Err(Failure::new(Exit::Input, message));
    }
    let requests: Vec<Request> = parties
        .keys()
        .map(|account| Request::Screen { address: report::shown(account), network: None })
        .collect();
    let responses = answers(place, requests).await?;
    let mut screened = Vec::new();
    for ((_, roles), response) in parties.iter().zip(responses) {
        let Response::Screened(mut value) = response else {
            return Err(Failure::new(Exit::Internal, "the answer to a screening is none"));
        };
        if let Some(fields) = value.as_object_mut() {
            fields.insert("roles".to_owned(), json!(roles));
        }
        screened.push(value);
    }
    Ok(Some(screened))
}

/// What is told.
struct Answer {
    value: Value,
    lines: Vec<String>,
    ok: bool,
}

impl Answer {
    fn new(signable: &Signable, signer: Option<&Account>, reading: &Reading) -> Self {
        let subject = report::subject(signable, signer);
        let name = match signable {
            Signable::Transaction(_) => "transaction",
            Signable::Message(_) => "message",
        };
        let text = |key: &str| subject.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        let mut lines = vec![format!("{name}, signing hash {}", text("signing_hash"))];
        lines.extend(report::effect_lines(reading));
        if reading.effects.is_empty() {
            lines.push("  plain   nothing is done".to_owned());
        }
        if !reading.is_understood() {
            lines.push("  not all of it is understood: what it does cannot be told from its text".to_owned());
        }
        Self {
            value: json!({
                name: subject,
                "severity": reading.severity().as_str(),
                "understood": reading.is_understood(),
                "effects": report::effects(reading),
            }),
            lines,
            ok: reading.is_understood() && reading.severity() < Severity::Danger,
        }
    }

    fn put(&mut self, key: &str, value: Value) {
        if let Some(fields) = self.value.as_object_mut() {
            fields.insert(key.to_owned(), value);
        }
    }

    fn screen(&mut self, screened: Option<Vec<Value>>) {
        let Some(screened) = screened else {
            self.put("screened", Value::Null);
            self.lines.push("nobody was screened; --screen asks the lists of an installation".to_owned());
            return;
        };
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        let mut against = 0usize;
        for value in &screened {
            if text(value, "verdict") != "allow" {
                against += 1;
                self.ok = false;
                self.lines.push(format!(
                    "{}: {} by the lists",
                    text(value, "address"),
                    text(value, "verdict")
                ));
            }
        }
        let has_lists = screened
            .iter()
            .any(|value| value.get("lists").and_then(Value::as_array).is_some_and(|l| !l.is_empty()));
        if !screened.is_empty() && !has_lists {
            // Nothing was asked that could have spoken against anybody.
            self.ok = false;
            self.lines.push("no lists are loaded: screening says nothing".to_owned());
        }
        self.lines.push(format!("screened {} accounts, lists speak against {against}", screened.len()));
        self.put("screened", Value::Array(screened));
    }

    #[cfg(feature = "simulation")]
    fn execute(
        &mut self,
        said: &Reading,
        executed: &crate::intent::execution::Executed,
        differences: &[simulate::Difference],
    ) {
        use crate::intent::execution;

        self.put("simulation", execution::value(executed));
        self.lines.extend(execution::lines(executed));
        let mut listed = Vec::new();
        for difference in differences {
            let severity = difference.severity(said);
            listed.push(json!({
                "kind": difference.kind(), "severity": severity.as_str(), "sentence": difference.to_string(),
            }));
            self.lines.push(format!("difference ({severity}): {difference}"));
        }
        // What was not understood from the text may be told by what it does, but then all of that must be harmless.
        let done = &executed.simulation.done;
        let gravest = differences.iter().map(|difference| difference.severity(said)).max();
        self.ok &= done.severity() < Severity::Danger && done.is_understood();
        self.ok &= gravest.is_none_or(|severity| severity < Severity::Danger);
        self.ok &= executed.simulation.end == simulate::End::Done;
        self.put("differences", Value::Array(listed));
    }

    fn print(mut self, json: bool) -> Exit {
        let ok = self.ok;
        if json {
            self.put("ok", Value::Bool(ok));
            output::line(&self.value);
        } else {
            self.lines.iter().for_each(output::line);
            output::line(if ok { "nothing speaks against it" } else { "do not sign this unseen" });
        }
        if ok { Exit::Ok } else { Exit::No }
    }
}
