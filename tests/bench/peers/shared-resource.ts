/** What several peers use together: made for the first that asks, unmade after the last that leaves. Both may be asked for more than once. */

export interface Resource {
  open(): Promise<void>;
  /** Also after `open` failed halfway. */
  close(): Promise<void>;
}

export class SharedResource {
  readonly #resource: Resource;
  readonly #users = new Set<unknown>();
  /** One after another: nobody closes what is being opened. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(resource: Resource) {
    this.#resource = resource;
  }

  get inUse(): boolean {
    return this.#users.size > 0;
  }

  use(user: unknown): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#users.has(user)) return;
      if (this.#users.size === 0) await this.#open();
      this.#users.add(user);
    });
  }

  leave(user: unknown): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#users.delete(user) && this.#users.size === 0) await this.#resource.close();
    });
  }

  async #open(): Promise<void> {
    try {
      await this.#resource.open();
    } catch (error) {
      await this.#resource.close();
      throw error;
    }
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}
