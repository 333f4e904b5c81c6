import { expect, test } from 'vitest';
import { double } from '../src/money.js';
test('doubles', () => {
  expect(double(2)).toBe(4);
});
