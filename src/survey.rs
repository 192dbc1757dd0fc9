//! Looking at everything at once before anything is built: branches with Git, versions at the package
//! server. Many entries at a time, few of them at one host.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, stream};
use tokio::sync::OnceCell;

use crate::build::server_failure;
use crate::catalog::cache::{Folders, GitCache};
use crate::catalog::git::{self, Fetched, PackageFiles, Seen};
use crate::catalog::hosts::Hosts;
use crate::catalog::{self, Entry, GitUrl, Kind};
use crate::config::Config;
use crate::event::Events;
use crate::outcome::Failure;
use crate::plan::{self, Answer, Draft, Knowledge, Looked, Plan, Surveyed};
use crate::server::{Database, List, PackageId, PackageServer};

/// How many questions the package server gets at once: Vieter servers are known to drop connections under load.
const QUESTIONS: usize = 4;

/// Looks, within limits.
pub struct Surveyor<'a> {
    config: &'a Config,
    server: &'a PackageServer,
    arch: &'a str,
    cache: Option<GitCache>,
    hosts: Hosts,
}

/// Entries that share a repository and branch: fetched once.
struct Source {
    kind: Kind,
    url: GitUrl,
    branch: Option<String>,
    /// Numbers in the list, with their folders.
    entries: Vec<(usize, String)>,
}

impl<'a> Surveyor<'a> {
    /// A surveyor for one run. A cache that cannot be opened is a warning, and none.
    pub fn new(config: &'a Config, server: &'a PackageServer, arch: &'a str, events: &Events) -> Self {
        let cache = config.plan.cache_dir.as_deref().and_then(|directory| {
            GitCache::open(directory)
                .inspect_err(|error| {
                    events.warn(format!(
                        "the cache {} cannot be used: {error}; set VIETER_CACHE_DIR to a directory that this \
                         user can write",
                        directory.display()
                    ));
                })
                .ok()
        });
        let plan = &config.plan;
        let hosts = Hosts::new(plan.plan_concurrency.0 as usize, plan.plan_host_concurrency.0 as usize);
        Self { config, server, arch, cache, hosts }
    }

    /// Makes the plan.
    pub async fn plan(&self, list: List) -> Plan {
        let surveyed = self.look(list).await;
        let draft = plan::draft(surveyed, &self.config.selection, self.arch);
        let answers = self.ask(&draft).await;
        plan::complete(draft, answers, &self.config.selection)
    }

    async fn look(&self, list: List) -> Vec<Surveyed> {
        let mut surveyed: Vec<Surveyed> = list
            .into_iter()
            .map(|element| Surveyed { entry: element.map(Arc::new), looked: Looked::NotForArch, seen: None })
            .collect();
        let sources = sources(&surveyed, self.arch);
        // All of them begin, and wait for their turn there.
        let looks = sources.into_iter().map(|source| async move {
            let found = self.look_at(&source).await;
            (source, found)
        });
        let mut looks = looks.collect::<FuturesUnordered<_>>();
        while let Some((source, found)) = looks.next().await {
            match found {
                Ok((folders, seen)) => {
                    for (number, folder) in source.entries {
                        let files = folders.get(&folder).cloned().unwrap_or_default();
                        surveyed[number].looked = self.know(&files, &folder);
                        surveyed[number].seen = Some(seen.clone());
                    }
                }
                Err(failure) => {
                    for (number, _) in source.entries {
                        surveyed[number].looked = Looked::Failed(failure.clone());
                    }
                }
            }
        }
        surveyed
    }

    fn know(&self, files: &PackageFiles, folder: &str) -> Looked {
        match &files.pkgbuild {
            Some(pkgbuild) => Looked::Known(Knowledge::of(pkgbuild, files.srcinfo.as_deref(), self.arch)),
            None => Looked::Failed(git::no_pkgbuild((!folder.is_empty()).then_some(folder))),
        }
    }

    /// The files of all folders of a source: from the cache when its tip is where it was, else fetched.
    async fn look_at(&self, source: &Source) -> Result<(Folders, Seen), Failure> {
        let look = async {
            match source.kind {
                Kind::Git => self.look_at_git(source).await,
                Kind::Url => self.look_at_file(source).await,
            }
        };
        self.hosts.ask(&source.url, look).await
    }

    async fn look_at_file(&self, source: &Source) -> Result<(Folders, Seen), Failure> {
        let fetched = self.fetch(source).await?;
        let pkgbuild = std::fs::read(fetched.tree(&source.url).await?.join("PKGBUILD")).ok();
        let files = PackageFiles { pkgbuild, srcinfo: None };
        let folders = source.entries.iter().map(|(_, folder)| (folder.clone(), files.clone()));
        Ok((folders.collect(), seen(fetched)))
    }

    async fn fetch(&self, source: &Source) -> Result<Fetched, Failure> {
        catalog::fetch(source.kind, &source.url, source.branch.as_deref(), self.attempts()).await
    }

    fn attempts(&self) -> u32 {
        self.config.server.http_attempts.0
    }

    async fn look_at_git(&self, source: &Source) -> Result<(Folders, Seen), Failure> {
        let (url, branch) = (&source.url, source.branch.as_deref());
        if let Some(cache) = &self.cache {
            let tip =
                catalog::patiently(self.attempts(), || git::tip(url, branch, catalog::FETCH_LIMIT)).await?;
            let known = cache.load(url, branch, &tip);
            let complete = |folders: &Folders| source.entries.iter().all(|(_, f)| folders.contains_key(f));
            if let Some(folders) = known.filter(complete) {
                return Ok((folders, Seen { commit: tip, fetched: None }));
            }
        }
        let fetched = self.fetch(source).await?;
        let names: Vec<&str> = source.entries.iter().map(|(_, folder)| folder.as_str()).collect();
        let files = fetched.read(url, &names).await?;
        let folders: Folders = names.iter().map(|&name| name.to_owned()).zip(files).collect();
        if let Some(cache) = &self.cache
            && let Err(error) = cache.store(url, branch, &fetched.commit, folders.clone())
        {
            tracing::debug!(%error, "the cache cannot be written");
        }
        Ok((folders, seen(fetched)))
    }

    /// Asks the package server what the draft wants to know.
    async fn ask(&self, draft: &Draft) -> BTreeMap<usize, Result<Answer, Failure>> {
        let databases = Databases { surveyor: self, known: Mutex::default() };
        let databases = &databases;
        stream::iter(draft.questions())
            .map(|(number, repo, packages)| async move { (number, databases.answer(&repo, packages).await) })
            .buffer_unordered(QUESTIONS.min(self.config.plan.plan_concurrency.0 as usize))
            .collect()
            .await
    }
}

/// The databases of the server, each had once, and only where a package is missing.
struct Databases<'a> {
    surveyor: &'a Surveyor<'a>,
    known: Mutex<HashMap<String, Arc<OnceCell<Arc<Database>>>>>,
}

impl Databases<'_> {
    async fn answer(&self, repo: &str, packages: Vec<PackageId>) -> Result<Answer, Failure> {
        let Surveyor { server, arch, .. } = self.surveyor;
        let mut answer = Answer::default();
        for package in packages {
            if !server.has(repo, arch, &package).await.map_err(server_failure)? {
                answer.lacking.push(package);
            }
        }
        if !answer.lacking.is_empty() {
            answer.database = self.database(repo).await;
        }
        Ok(answer)
    }

    /// What the repository has; nothing when that cannot be had, since only the reason rests on it.
    async fn database(&self, repo: &str) -> Option<Arc<Database>> {
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(repo.to_owned()).or_default())
        };
        let read = async {
            let bytes = self.surveyor.server.database(repo, self.surveyor.arch).await.ok()?;
            match bytes {
                Some(bytes) => Database::parse(&bytes).await.ok().map(Arc::new),
                None => Some(Arc::default()),
            }
        };
        cell.get_or_try_init(|| async { read.await.ok_or(()) }).await.ok().cloned()
    }
}

fn seen(fetched: Fetched) -> Seen {
    Seen { commit: fetched.commit.clone(), fetched: Some(Arc::new(fetched)) }
}

/// Groups the entries for an architecture by repository and branch.
fn sources(surveyed: &[Surveyed], arch: &str) -> Vec<Source> {
    let mut groups: BTreeMap<(&GitUrl, Option<&str>, bool), Source> = BTreeMap::new();
    let good = surveyed.iter().enumerate().filter_map(|(n, s)| Some((n, s.entry.as_ref().ok()?)));
    for (number, entry) in good.filter(|(_, entry)| entry.is_for(arch)) {
        let Entry { kind, url, branch, path, .. } = &**entry;
        let key = (url, branch.as_deref(), *kind == Kind::Url);
        let source = groups.entry(key).or_insert_with(|| Source {
            kind: *kind,
            url: url.clone(),
            branch: branch.clone(),
            entries: Vec::new(),
        });
        source.entries.push((number, path.clone().unwrap_or_default()));
    }
    groups.into_values().collect()
}
