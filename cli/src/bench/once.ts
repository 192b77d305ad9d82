/** `start`, at its first use, once. */
export function once<T>(start: () => T): () => T {
  let started: { readonly value: T } | null = null;
  return () => {
    started ??= { value: start() };
    return started.value;
  };
}
