/**
 * A configuration file (TOML): read once, its values found by dotted keys. Invariants: a key that nobody knows is an error, not a
 * silence; every error names the file, the key, and the line where it can be found.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { UsageError } from './errors.ts';

/** How a value may be written in the file. */
export type TomlType = 'string' | 'number' | 'boolean';

export interface ConfigValue {
  /** As it would be typed after a flag. */
  readonly text: string;
  /** `FILE:LINE`, or the file alone. */
  readonly origin: string;
}

type Table = Readonly<Record<string, unknown>>;

export class ConfigFile {
  readonly path: string;
  readonly #source: string;
  readonly #root: Table;

  /** `source` is the text of the file at `path`. @throws UsageError when it is not TOML. */
  constructor(path: string, source: string) {
    this.path = path;
    this.#source = source;
    try {
      this.#root = parse(source);
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      const [what = error.message] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
      throw new UsageError(`${path}:${error.line}:${error.column}: not TOML: ${what}`, { cause: error });
    }
  }

  /** @throws UsageError when it cannot be read, or is not TOML. */
  static read(path: string): ConfigFile {
    try {
      return new ConfigFile(path, readFileSync(path, 'utf8'));
    } catch (error) {
      if (error instanceof UsageError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new UsageError(`the configuration file ${path} cannot be read: ${why}`, { cause: error });
    }
  }

  /** @throws UsageError for the first key that is not among `known`, or that is a table where a value is meant. */
  requireOnly(known: readonly string[]): void {
    this.#requireOnly(this.#root, [], known);
  }

  #requireOnly(table: Table, above: readonly string[], known: readonly string[]): void {
    for (const [name, value] of Object.entries(table)) {
      const path = [...above, name];
      const key = path.join('.');
      // Or it would pass for the path that it looks like, and have no effect.
      if (name.includes('.')) throw this.error(key, 'is one name there, by its quotes: leave them out');
      const hasSettings = known.some((each) => each.startsWith(`${key}.`));
      if (hasSettings && isTable(value)) this.#requireOnly(value, path, known);
      else if (hasSettings) throw this.error(key, `is a table: write [${key}], and its keys below`);
      else if (!known.includes(key)) throw this.error(key, unknownKey(above, known));
    }
  }

  /** What the file says of `key`; undefined when nothing. @throws UsageError when it is not of these types. */
  get(key: string, types: readonly TomlType[]): ConfigValue | undefined {
    let value: unknown = this.#root;
    for (const name of key.split('.')) value = isTable(value) ? value[name] : undefined;
    if (value === undefined) return undefined;
    const type = types.find((each) => typeof value === each);
    if (type === undefined)
      throw this.error(key, `must be ${types.map(withArticle).join(' or ')}, not ${kindOf(value)}`);
    return { text: String(value), origin: this.#place(key) };
  }

  /** A path in the file is meant from where the file is. */
  pathFrom(text: string): string {
    return resolve(dirname(this.path), text);
  }

  error(key: string, problem: string): UsageError {
    return new UsageError(`${this.#place(key)}: ${key} ${problem}`);
  }

  #place(key: string): string {
    const line = lineOf(this.#source, key);
    return line === undefined ? this.path : `${this.path}:${line}`;
  }
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function unknownKey(above: readonly string[], known: readonly string[]): string {
  const prefix = above.map((name) => `${name}.`).join('');
  const here = known.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length).split('.')[0]);
  return `is not a setting; there are ${[...new Set(here)].join(', ')}`;
}

/**
 * The line, from 1, where `key` or the table around it is set. By eye, because the parser does not tell: what it does not find (a value
 * spread over lines, an escaped key) has no line.
 */
function lineOf(source: string, key: string): number | undefined {
  let table = '';
  for (const [index, line] of source.split('\n').entries()) {
    const [, header] = /^\s*\[{1,2}\s*([^[\]]+?)\s*\]/.exec(line) ?? [];
    const [, name] = /^\s*([\w.\-"' \t]+?)\s*=/.exec(line) ?? [];
    if (header !== undefined) table = plainKey(header);
    const here =
      header !== undefined ? table : name !== undefined ? [table, plainKey(name)].filter(Boolean).join('.') : '';
    if (here === key || (name !== undefined && key.startsWith(`${here}.`))) return index + 1;
    // The table that nobody knows is told by its header, also when it is the start of a longer one.
    if (header !== undefined && here.startsWith(`${key}.`)) return index + 1;
  }
  return undefined;
}

const plainKey = (text: string): string =>
  text
    .replace(/["']/g, '')
    .replace(/\s*\.\s*/g, '.')
    .trim();

const withArticle = (type: TomlType): string => (type === 'boolean' ? 'true or false' : `a ${type}`);

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Date) return 'a date';
  return typeof value === 'object' ? 'a table' : `a ${typeof value}`;
}
