/** Tables and rows that the floor's `/bare` reads. A Worker's own module exports nothing but handlers. */
export const FLOOR_ROWS = {
  DIRECTORY: [
    'CREATE TABLE credentials (hash TEXT PRIMARY KEY, org INTEGER NOT NULL) WITHOUT ROWID',
    "INSERT INTO credentials VALUES ('known', 1)",
  ],
  SHARD: [
    'CREATE TABLE items (org INTEGER, id INTEGER, name TEXT, n INTEGER, PRIMARY KEY (org, id)) WITHOUT ROWID',
    `INSERT INTO items WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 1000)
     SELECT 1, n, 'item-' || n, n FROM i`,
    'CREATE TABLE totals (org INTEGER PRIMARY KEY, n INTEGER NOT NULL)',
    'INSERT INTO totals VALUES (1, 1000)',
  ],
} as const
