/** A program in C or C++ beside this file, compiled when it is needed into a directory of its own, which `close` removes. */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Resource } from './shared-resource.ts';

const run = promisify(execFile);

export interface Source {
  readonly compiler: 'cc' | 'g++';
  /** Beside this file. */
  readonly file: string;
  readonly flags: readonly string[];
  readonly libraries?: readonly string[];
}

/** Where a command is, as a shell would find it. */
export function findCommand(name: string, path = process.env.PATH ?? ''): string | null {
  const isProgram = (file: string): boolean => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  };
  const files = path.split(delimiter).filter((directory) => directory !== '');
  return files.map((directory) => join(directory, name)).find(isProgram) ?? null;
}

export class CompiledProgram implements Resource {
  readonly #source: Source;
  #directory: string | null = null;

  constructor(source: Source) {
    this.#source = source;
  }

  /** Only while it is open. */
  get path(): string {
    return join(this.directory, basename(this.#source.file).replace(/\.\w+$/, ''));
  }

  /** Only while it is open; may be used for what else the program needs. */
  get directory(): string {
    if (this.#directory === null) throw new Error(`${this.#source.file} is not compiled: call start() first`);
    return this.#directory;
  }

  async open(): Promise<void> {
    const { compiler, file, flags, libraries = [] } = this.#source;
    this.#directory = await mkdtemp(join(tmpdir(), 'leasehold-peer-'));
    const source = fileURLToPath(new URL(file, import.meta.url));
    await run(compiler, [...flags, '-o', this.path, source, ...libraries.map((library) => `-l${library}`)]);
  }

  async close(): Promise<void> {
    if (this.#directory === null) return;
    await rm(this.#directory, { recursive: true, force: true });
    this.#directory = null;
  }
}
