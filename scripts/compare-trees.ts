// Compares two directories by content. Answers with one line per difference, sorted; an empty list means identical.
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

async function listFiles(root: string): Promise<Set<string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return new Set(
    entries.filter((entry) => entry.isFile()).map((entry) => relative(root, join(entry.parentPath, entry.name))),
  );
}

export async function compareTrees(committed: string, fresh: string): Promise<string[]> {
  const [committedFiles, freshFiles] = await Promise.all([listFiles(committed), listFiles(fresh)]);
  const differences: string[] = [];
  for (const file of [...committedFiles.union(freshFiles)].sort()) {
    if (!freshFiles.has(file)) {
      differences.push(`${file}: no longer generated`);
    } else if (!committedFiles.has(file)) {
      differences.push(`${file}: generated, but not committed`);
    } else {
      const [before, after] = await Promise.all([readFile(join(committed, file)), readFile(join(fresh, file))]);
      if (!before.equals(after)) {
        differences.push(`${file}: differs`);
      }
    }
  }
  return differences;
}
