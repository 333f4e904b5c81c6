import { test } from 'node:test';
import assert from 'node:assert';
import { double } from '../src/double.js';
test('doubles', () => {
  assert.equal(double(2), 4);
});
// test('doubles text', () => {});
