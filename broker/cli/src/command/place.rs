//! `remit install place`: where an install's runner must prove to be.

use remit_loops::runner::{Place, Signal};
use remit_loops::view::Detail;
use remit_loops::{ObjectId, runner};

use crate::args::place::{PlaceArgs, PlaceCommand};
use crate::client::Client;
use crate::context::Context;
use crate::failure::{Failure, Result};

/// The place that flags name, if they do, checked.
pub(super) fn read(args: PlaceArgs) -> Result<Option<Place>> {
    let PlaceArgs { aws_account, aws_region, aws_role: role } = args;
    let Some((account, region)) = aws_account.zip(aws_region) else { return Ok(None) };
    let place = Place { account, region, role };
    place.check().map_err(|e| Failure::usage(e.message, "see `remit install place --help`"))?;
    Ok(Some(place))
}

/// Declares it; a runner that was enrolled for another place is heard no more.
pub(super) async fn declare(
    client: &Client,
    install: &ObjectId,
    place: Option<Place>,
    reason: String,
) -> Result<()> {
    client.signal(&runner_of(install)?, &Signal::Declare { place, reason }, None).await.map(drop)
}

/// Shows it, or declares another.
pub(super) async fn run(context: &Context, client: &Client, command: PlaceCommand) -> Result<()> {
    let PlaceCommand { name, place, anywhere, reason } = command;
    let install = context.install(&name)?;
    let wish = read(place)?;
    if wish.is_some() || anywhere {
        let hint = "say --reason: it stays on the record, and the customer may see it";
        let reason = reason.ok_or_else(|| Failure::usage("a place is changed for a reason", hint))?;
        declare(client, &install, wish, reason).await?;
    }
    show(context, client, &install).await
}

async fn show(context: &Context, client: &Client, install: &ObjectId) -> Result<()> {
    let view = client.object(&runner_of(install)?).await?.view;
    let Detail::Runner { place, presence, .. } = view.detail else {
        return Err(Failure::usage(format!("{install} has no runner"), ""));
    };
    let is_out = matches!(presence, runner::Presence::Expected | runner::Presence::Revoked { .. });
    context.format().answer(&place, || {
        let next =
            if is_out { format!("\nnext: remit install link {}", install.name()) } else { String::new() };
        match &place {
            Some(place) => format!("the runner of {install} must be in {place}{next}"),
            None => format!("the runner of {install} may be anywhere{next}"),
        }
    });
    Ok(())
}

fn runner_of(install: &ObjectId) -> Result<ObjectId> {
    install.runner().ok_or_else(|| Failure::usage(format!("{install} is not an install"), ""))
}
