import { test } from 'node:test';
import assert from 'node:assert';
import * as money from '../src/money.js';
test('adds', () => {
  assert.equal(money.add(1, 2), 3);
});
