import { test } from 'node:test';
import assert from 'node:assert';
import { double } from '../src/money.js';
test('doubles', () => {
  assert.equal(double(2), 4);
});
