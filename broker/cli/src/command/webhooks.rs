//! `remit webhooks`: who is told of what happens, and whether they heard it.

use remit_broker::api::wire::{Delivery, NewWebhook, Replay, WebhookInfo};

use crate::args::WebhooksCommand;
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::keys::write_private;
use crate::output::{Table, time, word};

/// Makes, lists, tests and removes webhooks.
pub(super) async fn run(context: &Context, command: WebhooksCommand) -> Result<()> {
    let client = context.client()?;
    let org = context.org()?.name().to_owned();
    match command {
        WebhooksCommand::Create { name, url, events, out } => {
            let made = client.create_webhook(&org, &NewWebhook { name, url, events }).await?;
            match out {
                Some(file) => {
                    write_private(&file, made.secret.as_bytes())?;
                    let answer = serde_json::json!({ "name": made.name, "url": made.url, "file": file });
                    context.format().answer(&answer, || format!("the secret is in {}", file.display()));
                }
                None => {
                    context.format().say("This is the only time that the secret is shown:");
                    context.format().answer(&made, || made.secret.clone());
                }
            }
        }
        WebhooksCommand::List => {
            let list = client.webhooks(&org).await?;
            context.format().answer(&list, || render(&list.webhooks));
        }
        WebhooksCommand::Delete { name } => {
            client.delete_webhook(&org, &name).await?;
            let answer = serde_json::json!({ "deleted": name });
            context
                .format()
                .answer(&answer, || format!("webhook {name} is gone; nothing more is told there"));
        }
        WebhooksCommand::Deliveries { name } => {
            let list = client.deliveries(&org, &name).await?;
            context.format().answer(&list, || deliveries(&list.deliveries));
        }
        WebhooksCommand::Test { name } => {
            let sent = client.test_webhook(&org, &name).await?;
            heard(context, &sent)?;
        }
        WebhooksCommand::Replay { name, id } => {
            let sent = client.replay_webhook(&org, &name, &Replay { id }).await?;
            heard(context, &sent)?;
        }
    }
    Ok(())
}

fn render(webhooks: &[WebhookInfo]) -> String {
    let mut table = Table::new(&["webhook", "url", "events", "delivered", "given up", "state"]);
    for hook in webhooks {
        let state = match (&hook.failing, hook.next_try) {
            (Some(why), Some(next)) => format!("{} ({why}; again at {})", word("failing"), time(next)),
            _ => word("active"),
        };
        table.row([
            hook.name.clone(),
            hook.url.clone(),
            hook.events.join(", "),
            hook.delivered.to_string(),
            hook.dead.to_string(),
            state,
        ]);
    }
    table.render("no webhooks yet: `remit webhooks create NAME --url URL`")
}

fn deliveries(deliveries: &[Delivery]) -> String {
    let mut table = Table::new(&["message", "code", "object", "sent", "tries", "state", "why"]);
    for delivery in deliveries {
        table.row([
            delivery.id.clone(),
            delivery.code.clone(),
            delivery.object.clone(),
            time(delivery.sent),
            delivery.attempts.to_string(),
            word(&delivery.state),
            delivery.why.clone(),
        ]);
    }
    table.render("nothing was told yet")
}

/// Whether it arrived: a test that nobody heard has failed.
fn heard(context: &Context, sent: &Delivery) -> Result<()> {
    if sent.state != "delivered" {
        let message = format!("{} was not heard: {}", sent.id, sent.why);
        let hint = "look at the endpoint's own log; it must answer with a 2xx within 15 seconds";
        return Err(Failure::new(Exit::Failed, "cli.webhook_unheard", message, hint));
    }
    context.format().answer(sent, || format!("{} was heard", sent.id));
    Ok(())
}
