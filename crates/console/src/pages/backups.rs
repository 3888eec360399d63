//! The backup, and the proof that it restores.

use maud::{Markup, html};

use super::{badge, heading, nothing};
use crate::{
    time::{count, stamp},
    view::{Backup, Tone},
};

pub(crate) fn page(backup: &Backup) -> Markup {
    html! {
        (heading("Backups", "What would survive the loss of this machine, and when that was last proved."))
        @match &backup.target {
            None => p.card.notice.bad { "No backup is configured: what is lost here is lost." },
            Some(target) => {
                section.card {
                    h2 { "Copy" }
                    dl.pairs {
                        dt { "target" } dd { code { (target) } }
                        dt { "entries" } dd { (count(backup.entries_shipped)) " of " (count(backup.entries)) " shipped" }
                        dt { "last shipment" } dd { @if let Some(at) = &backup.shipped_at { (stamp(at)) } @else { "none yet" } }
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
                }
            }
        }
    }
}
