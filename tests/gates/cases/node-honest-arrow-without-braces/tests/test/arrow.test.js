import { test } from 'node:test';
import assert from 'node:assert';
import * as money from '../src/money.js';
test('adds zero', () => assert.equal(money.add(0, 1), 1));
test('doubles', () => {
  assert.equal(money.double(2), 4);
});
