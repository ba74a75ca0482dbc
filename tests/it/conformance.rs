//! The official conformance suite against the proxy, in front of an asyncmcp server.

use anyhow::Result;
use e2e::{fixtures, kind::Kind, stories, world::World};

stories! {
    the_requirements_of_2025_11_25_are_met: all;
    the_released_suite_agrees: sqs;
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
