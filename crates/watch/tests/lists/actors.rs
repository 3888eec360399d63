//! Holders that tags refer to.

use chain::label::Category;
use tempfile::TempDir;
use watch::{Format, ImportError, ImportReport, SourceFile, Watch, read_sources};

use crate::support::{NOW, archive, file, list, open};

const FIRST: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
const SECOND: &str = "0x52908400098527886E0F7030069857D2E4169EE7";

const ACTORS: &str = "%YAML 1.1\n---\ntitle: Actors\nactors:\n- id: '01'\n  label: Zero One\n  jurisdictions: []\n  \
                      categories:\n  - defi_dex\n  - exchange\n  uri: 01.example\n  context:\n    refs:\n    - a\n    - b\n\
                      - id: robbed\n  label: Robbed Exchange\n  categories: exchange\n";
const TAGS: &str = "title: Tags\ncreator: me\ncurrency: BTC\nactor: '01'\ntags:\n- address: 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa\n\
                    - address: '0x52908400098527886E0F7030069857D2E4169EE7'\n  currency: ETH\n  actor: robbed\n  \
                    label: Robber\n  abuse: service_hack\n";

fn import(watch: &Watch, files: &[SourceFile]) -> Result<ImportReport, ImportError> {
    watch.import(&list("tags"), &Format::TagPack, files, NOW)
}

#[test]
fn a_tag_borrows_what_it_does_not_say() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    // Whatever the files are called and in whichever order they come.
    import(&watch, &[file("tags.yaml", TAGS), file("z.yml", ACTORS)]).unwrap();
    let first = watch.screen(FIRST, None);
    assert_eq!(first.categories(), [Category::Exchange, Category::Defi]);
    assert_eq!(first.labels[0].text, "Zero One");
    let second = watch.screen(SECOND, None);
    assert_eq!(second.categories(), [Category::Theft], "the robbed one's category is not the robber's");
    assert_eq!(second.labels[0].text, "Robber");
    // Without the actors nothing is known of the first.
    import(&watch, &[file("tags.yaml", TAGS)]).unwrap();
    assert_eq!(watch.screen(FIRST, None).categories(), [Category::Other]);
}

#[test]
fn faults_are_named() {
    let refused = |text: &str| {
        let dir = TempDir::new().unwrap();
        import(&open(&dir), &[file("actors.yaml", text), file("tags.yaml", TAGS)]).unwrap_err().to_string()
    };
    let twice = ACTORS.replace("id: robbed", "id: '01'");
    assert_eq!(refused(&twice), "actors.yaml, line 16, id: the actor \"01\" stands twice");
    assert!(refused(&ACTORS.replace("- id: robbed\n  label", "- label")).contains("the actor has no id"));
    assert!(refused("actors: 7\n").contains("the actors are not a sequence"));
    assert!(refused("actors:\n- a\n").contains("an actor is not a mapping"));
    assert!(refused("actors:\n- id: [a]\n").contains("line 2, id: the value is not a scalar"));
    assert!(refused("actors:\n- id: a\n  categories: {b: c}\n").contains("categories"));
    assert!(refused("actors:\n- &a {id: a}\n- *a\n").contains("aliases are not accepted"));
    assert!(refused("actors:\n- id: 'a\n").contains("not YAML"));
    let dir = TempDir::new().unwrap();
    let alone = import(&open(&dir), &[file("actors.yaml", ACTORS)]).unwrap_err();
    assert!(matches!(alone, ImportError::ActorsAlone { actors: 2 }), "{alone}");
}

#[test]
fn the_actors_of_real_packs() {
    let Some(source) = archive("tagpacks_subset.tar.zst") else { return };
    let files = read_sources(source.path(), &Format::TagPack).unwrap();
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let (actors, tags): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| file.name.ends_with(".actorpack.yaml"));
    let alone = import(&watch, &actors).unwrap_err();
    assert!(matches!(alone, ImportError::ActorsAlone { actors: 3_813 }), "{alone}");
    let without = import(&watch, &tags).unwrap();
    let both: Vec<SourceFile> = actors.into_iter().chain(tags).collect();
    let with = import(&watch, &both).unwrap();
    assert_eq!((with.entries, with.addresses), (without.entries, without.addresses));
}
