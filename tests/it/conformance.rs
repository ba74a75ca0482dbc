//! The official conformance suite against the proxy, in front of an asyncmcp server and in front of our worker.

use anyhow::{Result, bail};
use e2e::{
    fixtures,
    kind::{Kind, Reached},
    stories,
    worker::Server,
    world::World,
};

stories! {
    the_requirements_of_2025_11_25_are_met: all;
    the_released_suite_agrees: sqs, worker_sqs;
    everything_passes_through_a_worker: worker, worker_http;
}

/// What may fail is listed, each with its reason, in `tests/fixtures/conformance-baseline.yml`: an entry that passes fails this
/// test as well.
async fn the_requirements_of_2025_11_25_are_met(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let baseline = fixtures::root().join("tests/fixtures/conformance-baseline.yml");
    let (url, baseline) = (world.proxy.url(), baseline.to_string_lossy().into_owned());
    let arguments =
        ["server", "--url", &url, "--requirements", "2025-11-25", "--expected-failures", &baseline];
    let (satisfied, said) = fixtures::conformance("conformance", &arguments).await?;
    assert!(satisfied, "{said}");
    Ok(())
}

/// The fixture server passes all of it when it is reached directly, so nothing may fail that goes through proxy, transport and worker.
async fn everything_passes_through_a_worker(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    everything_passes(&world.proxy.url()).await
}

/// Nothing that a test of the worker finds wrong is the fixture server's doing.
#[tokio::test]
async fn the_fixture_server_passes_when_it_is_reached_directly() -> Result<()> {
    let (server, _process) = Server::fixture_reached(Reached::Http, None).await?;
    let Server::Url(url) = server else { bail!("a server without a URL") };
    everything_passes(&url).await
}

async fn everything_passes(url: &str) -> Result<()> {
    let arguments = ["server", "--url", url, "--requirements", "2025-11-25"];
    let (satisfied, said) = fixtures::conformance("conformance", &arguments).await?;
    assert!(satisfied && said.contains(" passed, 0 failed"), "{said}");
    let unscored = said.contains("run, 0 failing");
    assert!(unscored, "something fails that is not scored: {said}");
    Ok(())
}

/// The released suite, as a second opinion.
async fn the_released_suite_agrees(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let baseline = fixtures::root().join("tests/fixtures/conformance-baseline-0.1.yml");
    let (url, baseline) = (world.proxy.url(), baseline.to_string_lossy().into_owned());
    let arguments = ["server", "--url", &url, "--suite", "all", "--expected-failures", &baseline];
    let (satisfied, said) = fixtures::conformance("conformance-0.1", &arguments).await?;
    assert!(satisfied, "{said}");
    Ok(())
}
