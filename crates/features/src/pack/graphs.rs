//! The graphs of a pack, and the features read from them.

use super::{
    PackError, PackFault,
    kinds::{Builder, Draft, PARTS_MAX, Stop, time_unit, unknown, zero},
    reader::Reader,
};
use crate::plan::{
    CyclePlan, GraphPlan, GraphRead, GraphShape, MoneyPlan, MoneyRead, SharingPlan, SharingRead, TransferPlan,
};

/// Most graphs of a pack.
pub(crate) const GRAPHS_MAX: usize = 16;
/// Kinds of graphs.
const GRAPH_KINDS: [&str; 2] = ["money", "sharing"];

/// What the name of a graph stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NamedGraph {
    /// The events lack a field that it needs.
    Absent,
    Graph(usize),
}

impl Builder {
    /// Reads a `[[graph]]`.
    pub(crate) fn graph(&mut self, mut reader: Reader<'_>) -> Result<(), PackError> {
        let name = reader.required("name")?;
        reader.rename(format!("graph {name:?}"));
        if self.graphs.contains_key(&name) {
            return Err(reader.fault_at("name", PackFault::NameTaken { name }));
        }
        // For people; no part of the plan.
        reader.text("doc")?;
        let kind = reader.required("kind")?;
        let plan = match kind.as_str() {
            "money" => self.money_graph(&mut reader),
            "sharing" => self.sharing_graph(&mut reader),
            _ => return Err(unknown(&reader, "kind", "kind of graph", kind, GRAPH_KINDS)),
        };
        let named = match plan {
            Ok(plan) => {
                reader.finish()?;
                self.plan.graphs.push(plan);
                NamedGraph::Graph(self.plan.graphs.len() - 1)
            }
            Err(Stop::Fault(fault)) => return Err(fault),
            Err(Stop::Absent) => NamedGraph::Absent,
        };
        self.graphs.insert(name, named);
        Ok(())
    }

    fn sharing_graph(&self, r: &mut Reader<'_>) -> Result<GraphPlan, Stop> {
        let account = self.key_field(r, "account", None)?;
        let names = r.texts("things")?.ok_or_else(|| r.missing("things"))?;
        let mut things = Vec::new();
        for name in names {
            let thing = self.key_field(r, "things", Some(name))?;
            if thing == account || things.contains(&thing) {
                let what = "each thing is a field of its own";
                return Err(r.fault_at("things", PackFault::Misfit { what }).into());
            }
            things.push(thing);
        }
        if things.is_empty() || things.len() > PARTS_MAX {
            let what = "a sharing graph has 1 to 16 things";
            return Err(r.fault_at("things", PackFault::Misfit { what }).into());
        }
        let fields: Vec<usize> = [account].into_iter().chain(things.iter().copied()).collect();
        Ok(GraphPlan {
            window: self.graph_window(r)?,
            marks: self.marks(r, &fields, &[account])?,
            shape: GraphShape::Sharing(SharingPlan {
                account,
                things,
                filter: self.filter(r, "filter")?,
                links_max: bound(r, "links_max", 1..=1_024, "1 to 1024", 64)?,
                hub_above: bound(r, "hub_above", 1..=1_024, "1 to 1024", 16)?,
                reach_max: bound(r, "reach_max", 2..=4_096, "2 to 4096", 64)?,
                hops_max: small(r, "hops_max", 1..=16, "1 to 16", 4)?,
            }),
            reads: Vec::new(),
        })
    }

    fn money_graph(&self, r: &mut Reader<'_>) -> Result<GraphPlan, Stop> {
        let (value, per_unit) = self.number_field(r, "value")?;
        let Some(listed) = r.value("transfers") else { return Err(r.missing("transfers").into()) };
        let mut is_absent = false;
        let transfers = r.tables("transfers", listed, &mut |r| {
            let ends = self.key_field(r, "from", None).and_then(|from| {
                let to = self.key_field(r, "to", None)?;
                Ok(TransferPlan { from, to, value, filter: self.filter(r, "filter")? })
            });
            match ends {
                Ok(transfer) => Ok(Some(transfer)),
                Err(Stop::Fault(fault)) => Err(fault),
                Err(Stop::Absent) => {
                    is_absent = true;
                    for key in ["to", "filter"] {
                        r.value(key);
                    }
                    Ok(None)
                }
            }
        })?;
        if is_absent {
            return Err(Stop::Absent);
        }
        let transfers: Vec<TransferPlan> = transfers.into_iter().flatten().collect();
        if transfers.is_empty() || transfers.len() > PARTS_MAX {
            let what = "a money graph has 1 to 16 transfers";
            return Err(r.fault_at("transfers", PackFault::Misfit { what }).into());
        }
        if transfers.iter().any(|transfer| transfer.from == transfer.to) {
            let what = "a transfer leads from one field to another";
            return Err(r.fault_at("transfers", PackFault::Misfit { what }).into());
        }
        let fields: Vec<usize> = transfers.iter().flat_map(|transfer| [transfer.from, transfer.to]).collect();
        let window = self.graph_window(r)?;
        let span = match r.duration("cycle_span", self.plan.tick_nanos)? {
            Some(span) => span.ticks,
            None => window,
        };
        Ok(GraphPlan {
            window,
            marks: self.marks(r, &fields, &[])?,
            shape: GraphShape::Money(MoneyPlan {
                transfers,
                tick_nanos: self.plan.tick_nanos,
                per_unit,
                transfers_max: bound(r, "transfers_max", 1..=65_536, "1 to 65536", 256)?,
                cycle: CyclePlan {
                    hops_max: small(r, "cycle_hops_max", 2..=8, "2 to 8", 5)?,
                    span,
                    kept_percent: small(r, "cycle_kept_percent", 0..=100, "0 to 100", 70)?,
                },
            }),
            reads: Vec::new(),
        })
    }

    fn graph_window(&self, r: &mut Reader<'_>) -> Result<u64, PackError> {
        let text = r.required("window")?;
        let span = r.span("window", text, self.plan.tick_nanos)?;
        if span.ticks == 0 { Err(zero(r, "window", span)) } else { Ok(span.ticks) }
    }

    /// The fields under `marks`, all of them fields of the graph.
    fn marks(&self, r: &mut Reader<'_>, fields: &[usize], default: &[usize]) -> Result<Vec<usize>, Stop> {
        let Some(names) = r.texts("marks")? else { return Ok(default.to_vec()) };
        let mut marks = Vec::new();
        for name in names {
            let field = self.key_field(r, "marks", Some(name))?;
            if !fields.contains(&field) || marks.contains(&field) {
                let what = "marks are fields of the graph, each once";
                return Err(r.fault_at("marks", PackFault::Misfit { what }).into());
            }
            marks.push(field);
        }
        Ok(marks)
    }

    /// A feature read from a graph.
    pub(crate) fn graph_kind(&mut self, r: &mut Reader<'_>, draft: &Draft) -> Result<(), Stop> {
        let name = r.required("graph")?;
        let graph = match self.graphs.get(&name) {
            Some(NamedGraph::Graph(graph)) => *graph,
            Some(NamedGraph::Absent) => return Err(Stop::Absent),
            None => {
                return Err(unknown(r, "graph", "graph", name, self.graphs.keys().map(String::as_str)).into());
            }
        };
        let kind = draft.kind.as_str();
        let is_money = matches!(self.plan.graphs[graph].shape, GraphShape::Money(_));
        let wants_money = !matches!(
            kind,
            "component_accounts" | "hops_to_fraud" | "shared_accounts" | "shared_frauds" | "shared_things"
        );
        if is_money != wants_money {
            let what =
                if wants_money { "this kind reads a money graph" } else { "this kind reads a sharing graph" };
            return Err(r.fault_at("graph", PackFault::Misfit { what }).into());
        }
        let needs_marks = matches!(kind, "fraud_partners" | "hops_to_fraud" | "shared_frauds");
        if needs_marks && self.plan.graphs[graph].marks.is_empty() {
            let what = "this kind needs a graph with marks";
            return Err(r.fault_at("graph", PackFault::Misfit { what }).into());
        }
        let (read, unit) = match kind {
            "component_accounts" => {
                (GraphRead::Sharing(SharingRead::ComponentAccounts), "accounts".to_owned())
            }
            "hops_to_fraud" => (GraphRead::Sharing(SharingRead::HopsToFraud), "links".to_owned()),
            "shared_accounts" => (GraphRead::Sharing(SharingRead::SharedAccounts), "accounts".to_owned()),
            "shared_frauds" => (GraphRead::Sharing(SharingRead::SharedFrauds), "accounts".to_owned()),
            "shared_things" => (GraphRead::Sharing(SharingRead::SharedThings), "things".to_owned()),
            _ => self.money_read(r, graph, kind)?,
        };
        let node = self.node(r, crate::plan::Compute::Read, draft.missing, 0)?;
        self.plan.graphs[graph].reads.push((node, read));
        self.name(r, draft, "", node, &unit)
    }

    fn money_read(&self, r: &mut Reader<'_>, graph: usize, kind: &str) -> Result<(GraphRead, String), Stop> {
        let GraphShape::Money(money) = &self.plan.graphs[graph].shape else {
            return Err(r.missing("graph").into());
        };
        let value = money.transfers.first().map_or(0, |transfer| transfer.value);
        let value_unit = self.fields[value].unit.clone();
        let (read, unit) = match kind {
            "cycle" => (MoneyRead::Cycle, "transfers".to_owned()),
            "dwell" => {
                let (name, secs) = time_unit(r)?;
                (MoneyRead::Dwell { per: secs }, name.to_owned())
            }
            "fan_in" => (MoneyRead::FanIn, "nodes".to_owned()),
            "fan_out" => (MoneyRead::FanOut, "nodes".to_owned()),
            "fraud_partners" => (MoneyRead::FraudPartners, "nodes".to_owned()),
            "pass_through" => (MoneyRead::PassThrough, "share".to_owned()),
            "received" => (MoneyRead::Received, value_unit),
            _ => (MoneyRead::Sent, value_unit),
        };
        let ends: Vec<usize> =
            money.transfers.iter().flat_map(|transfer| [transfer.from, transfer.to]).collect();
        let of = match read {
            // Of the event, not of a node.
            MoneyRead::Cycle => ends.first().copied().unwrap_or(0),
            _ => self.key_field(r, "of", None)?,
        };
        if !ends.contains(&of) {
            let what = "of names a field that transfers lead from or to";
            return Err(r.fault_at("of", PackFault::Misfit { what }).into());
        }
        Ok((GraphRead::Money { of, read }, unit))
    }
}

fn bound(
    r: &mut Reader<'_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u64>,
    shown: &'static str,
    default: usize,
) -> Result<usize, PackError> {
    Ok(r.whole(key, range, shown)?.and_then(|whole| usize::try_from(whole).ok()).unwrap_or(default))
}

fn small(
    r: &mut Reader<'_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u64>,
    shown: &'static str,
    default: u8,
) -> Result<u8, PackError> {
    Ok(r.whole(key, range, shown)?.and_then(|whole| u8::try_from(whole).ok()).unwrap_or(default))
}
