import { test } from 'node:test';
import assert from 'node:assert';
import * as money from '../src/money.js';
test('adds zero', { timeout: 5000 }, () => {

});
