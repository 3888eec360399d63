//! `caponier log`: journal entries in words, page by page.

use std::sync::Arc;

use crate::{
    cli::{Log, Place},
    clock::SystemClock,
    control::{Request, Response},
    core::{Core, PAGE_ENTRIES_MAX, control_socket},
    exit::{Exit, Failure},
    output, socket,
};

pub(super) async fn log(place: &Place, options: Log) -> Result<Exit, Failure> {
    let config = super::resolve(place)?;
    let path = control_socket(&config.data.dir);
    let mut core = None;
    let mut from = options.from;
    loop {
        let request = Request::Entries {
            from,
            kinds: options.kind.clone(),
            entries_max: PAGE_ENTRIES_MAX,
            reveal: options.reveal,
        };
        let mut quiet = |_: &str, _, _| ();
        let answered = match &core {
            None => socket::ask(&path, &request, &mut quiet).await,
            Some(_) => None,
        };
        let answer = match answered {
            Some(answer) => answer,
            None => {
                let core = match &mut core {
                    Some(core) => core,
                    None => {
                        super::must_exist(&config)?;
                        let opened = Core::open(config.clone(), Arc::new(SystemClock), &mut quiet).await?;
                        core.insert(opened)
                    }
                };
                core.handle(request, &mut quiet).await
            }
        };
        let Response::Entries { next, entries } = answer? else {
            return Err(Failure::new(Exit::Internal, "the answer is not a page of entries"));
        };
        for entry in entries {
            output::line(entry);
        }
        if next <= from || next - from < PAGE_ENTRIES_MAX {
            break;
        }
        from = next;
    }
    if let Some(core) = core {
        tokio::task::block_in_place(|| core.close())?;
    }
    Ok(Exit::Ok)
}
