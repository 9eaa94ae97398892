//! The socket in the data folder, and the asking side.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use positron_admin::{Asked, Client, ClientError, Server, Surroundings};
use positron_networking::{NetworkConfig, Node};
use serde_json::{Value, json};

async fn asked(folder: &Path, path: &'static str) -> Asked<Value> {
    let folder = folder.to_owned();
    let asked = tokio::task::spawn_blocking(move || Client::new(&folder)?.get(path));
    asked.await.unwrap()
}

#[tokio::test]
async fn the_owner_is_answered_even_deep_in_the_file_system_and_nobody_else() {
    let node = Node::start(NetworkConfig::loopback()).await.unwrap();
    let root = tempfile::tempdir().unwrap();
    let deep = root.path().join("d".repeat(200));
    fs::create_dir(&deep).unwrap();
    for folder in [root.path(), &deep] {
        assert!(matches!(asked(folder, "/v1/status").await, Err(ClientError::NotRunning)));
        let mut server = Server::new(node.clone(), Surroundings::default());
        server.listen_in(folder).unwrap();
        let mode = fs::metadata(folder.join("control.sock")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let status = asked(folder, "/v1/status").await.unwrap();
        assert_eq!(status["node_id"], node.id().to_string());
        server.close().await;
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.into_iter().all(|name| !name.to_string_lossy().contains("control")));
        assert!(matches!(asked(folder, "/v1/status").await, Err(ClientError::NotRunning)));
    }
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_replaced() {
    let node = Node::start(NetworkConfig::loopback()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(asked(folder.path(), "/livez").await, Err(ClientError::NotRunning)));
    let mut server = Server::new(node, Surroundings::default());
    server.listen_in(folder.path()).unwrap();
    assert_eq!(asked(folder.path(), "/livez").await.unwrap(), json!({ "live": true }));
    let Err(ClientError::Refused(wrong)) = asked(folder.path(), "/v1/nothing").await else {
        panic!("that is no route");
    };
    assert_eq!(wrong.code, "no_such_route");
}
