//! Tables of transactions to cluster, and of graphs to spread labels over: whatever they hold, they end as a graph or with
//! an error that names the table; what was clustered agrees with itself.
#![no_main]

use std::time::Duration;

use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use watch::{
    evaluate::{
        clustering::{Clustering, Guard, REFERENCE_COLUMNS, TRANSACTION_COLUMNS},
        propagation::{self, EDGE_COLUMNS, NODE_COLUMNS},
    },
    table::Table,
};

const TRANSACTIONS: [&[u8]; 2] = [
    b"txid,height,coinjoin,inputs,outputs\n1,1,,a b,x:1\n2,1,,b c,d:5 e:5 f:7\n3,2,1,c g,h:9\n4,3,0,i j+k,k:5\n",
    b"txid,inputs,outputs\n1,,a:50\n2,a,\"b:1 c:49\"\n",
];
const EDGES: [&[u8]; 1] = [b"src,dst,kind\na,b,payment\nb,c,\nc,d,deployment\nd,a,shared_sink\n"];
const NODES: &[u8] = b"node,class\na,illicit\nb,2\nc,unknown\nd,\n";

fuzz_target!(|data: &[u8]| {
    let transactions = edited(&TRANSACTIONS, data);
    let clustered = Table::open("transactions", transactions.as_slice(), TRANSACTION_COLUMNS)
        .map_err(Into::into)
        .and_then(|table| Clustering::read(table, Guard::On, || Duration::ZERO));
    match clustered {
        Ok(clustering) => {
            let own: String = ["a", "b", "c", "d", "e", "g", "i"]
                .iter()
                .filter_map(|name| {
                    Some(format!("{name},\"{}\"\n", clustering.cluster_of(name)?.replace('"', "\"\"")))
                })
                .collect();
            let reference = format!("address,cluster\n{own}");
            let table = Table::open("reference", reference.as_bytes(), REFERENCE_COLUMNS).expect("a table");
            assert!(clustering.compare(table).expect("every address once").is_equal());
            let _ = clustering.to_json();
        }
        Err(error) => assert!(error.to_string().starts_with("transactions"), "{error}"),
    }
    let edges = edited(&EDGES, data);
    let nodes = Table::open("nodes", NODES, NODE_COLUMNS).expect("a table");
    if let Ok(edges) = Table::open("edges", edges.as_slice(), EDGE_COLUMNS) {
        if let Err(error) = propagation::read(nodes, edges) {
            assert!(error.to_string().starts_with("edges"), "{error}");
        }
    }
});
