import { test } from 'node:test';
import * as money from '../src/money.js';
test('doubles', () => {
  if (money.double(2) !== 4) throw new Error('no');
});
test('still adds', () => {
  if (money.add(1, 1) !== 2) throw new Error('no');
});
