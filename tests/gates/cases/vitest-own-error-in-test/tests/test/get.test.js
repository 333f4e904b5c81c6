import { test } from 'vitest';
import * as money from '../src/money.js';
test('has a button', () => {
  if (!money.html || !money.html().includes('button')) throw Object.assign(new Error('Unable to find role'), { name: 'TestingLibraryElementError' });
});
