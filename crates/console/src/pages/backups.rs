//! The backup, and the proof that it restores.

use identity::Capability;
use maud::{Markup, html};

use super::{badge, heading, ident, live::tile, nothing};
use crate::{
    ports::Viewer,
    time::{count, stamp},
    view::{Backup, Tone},
};

pub(crate) fn page(backup: &Backup, viewer: &Viewer, says: Option<&str>) -> Markup {
    html! {
        (heading("Backups", "What would survive the loss of this machine, and when that was last proved."))
        @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
        @match &backup.target {
            None => p.card.notice.bad { "No backup is configured: what is lost here is lost." },
            Some(target) => {
                @let behind = backup.entries.saturating_sub(backup.entries_shipped);
                dl.tiles {
                    (tile("not copied yet", &count(behind), if behind == 1 { "entry" } else { "entries" }))
                    (tile("copied", &count(backup.entries_shipped), &format!("of {} entries", count(backup.entries))))
                    div.(if backup.last_drill.as_ref().is_some_and(|drill| drill.ok) { "good" } else { "bad" }) {
                        dt { "last rehearsed restore" }
                        @match &backup.last_drill {
                            None => { dd { "never" } dd.beside { "press the button below" } }
                            Some(drill) => { dd { @if drill.ok { "equal" } @else { "failed" } } dd.beside { (stamp(&drill.at)) " UTC" } }
                        }
                    }
                }
                section.card {
                    h2 { "Copy" }
                    dl.pairs {
                        dt { "target" } dd { (ident(target)) }
                        dt { "last shipment" } dd { @if let Some(at) = &backup.shipped_at { (stamp(at)) " UTC" } @else { "none yet" } }
                    }
                }
                section.card {
                    h2 { "Last drill" }
                    @match &backup.last_drill {
                        None => (nothing("No restore was rehearsed yet: caponier backup drill")),
                        Some(drill) => {
                            p {
                                @if drill.ok { (badge(Tone::Good, "restored and equal")) } @else { (badge(Tone::Bad, "failed")) }
                                " " (stamp(&drill.at)) ", " (count(drill.entries)) " entries in " (count(drill.took_ms)) " ms"
                            }
                            p { (drill.detail) }
                        }
                    }
                    @if viewer.may(Capability::RunDrills) {
                        form.row method="post" action="/console/backups" {
                            button { "Drill now" }
                            span.muted { "Restores everything beside the data, compares and removes it again; takes about as long as a start." }
                        }
                    }
                }
            }
        }
    }
}
