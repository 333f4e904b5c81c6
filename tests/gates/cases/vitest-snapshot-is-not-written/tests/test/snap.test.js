import { expect, test } from 'vitest';
import * as money from '../src/money.js';
test('shows', () => {
  expect(money.add(1, 2)).toBe(3);
  expect(money.show()).toMatchInlineSnapshot(`"three"`);
});
