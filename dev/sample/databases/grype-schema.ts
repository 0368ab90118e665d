/** Grype's database model: the numbers in `db_metadata`, and the client version `grype db import` reports for them. */
export const GRYPE_SCHEMA = { model: 6, revision: 1, addition: 4 } as const

/** The tables a database must bring; `grype db import` adds the other tables and every index. */
export const GRYPE_TABLES = `
create table blobs(id integer primary key autoincrement, value text not null);
create table db_metadata(build_timestamp datetime not null, model integer not null, revision integer not null, addition integer not null);
create table providers(id text primary key, version text, processor text, date_captured datetime, input_digest text);
create table vulnerability_handles(id integer primary key autoincrement, name text not null, status text not null, published_date datetime, modified_date datetime, withdrawn_date datetime, provider_id text not null, blob_id integer);
create table vulnerability_aliases(name text, alias text not null, primary key(name, alias));
create table operating_systems(id integer primary key autoincrement, name text, release_id text, major_version text, minor_version text, label_version text, codename text, channel text, eol_date datetime, eoas_date datetime);
create table packages(id integer primary key autoincrement, ecosystem text, name text);
create table affected_package_handles(id integer primary key autoincrement, vulnerability_id integer not null, operating_system_id integer, package_id integer, blob_id integer);
create table known_exploited_vulnerability_handles(id integer primary key autoincrement, cve text not null, blob_id integer);
create table epss_handles(id integer primary key autoincrement, cve text not null, epss real not null, percentile real not null);
create table epss_metadata(date datetime not null);
create table cwe_handles(id integer primary key autoincrement, cve text not null, cwe text not null, source text, type text);
`
