import { test } from 'vitest';
import * as money from '../src/money.js';
test('later', async () => {
  if ((await money.later(2)) !== 4) throw new Error('no');
});
