const money = require('../src/money.js');
test.skip('doubles', () => {
  throw new Error('x');
});
