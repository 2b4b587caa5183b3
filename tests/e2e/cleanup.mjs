// Undoes what a test has set up, last thing first. (`t.after` alone runs in the order given, so a
// folder would go before the server that uses it.)
const stacks = new WeakMap();

export function afterwards(t, undo) {
  if (!stacks.has(t)) {
    const stack = [];
    stacks.set(t, stack);
    t.after(() => undoAll(stack));
  }
  stacks.get(t).push(undo);
}

// Takes every step, whichever fails, and then throws the first failure.
export async function undoAll(stack) {
  let failure;
  for (const step of stack.splice(0).reverse()) {
    try {
      await step();
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure) throw failure;
}
