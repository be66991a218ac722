// Signing in with an admin token. The token is sent once and kept nowhere on the page.

import { signIn } from './api.js';
import { h } from './dom.js';
import { field, form } from './form.js';
import { logo, notice } from './ui.js';

export default function signin({ lost, done }) {
  const token = field('Admin token', {
    name: 'token',
    type: 'password',
    autocomplete: 'current-password',
    hint: h(
      'span',
      {},
      'Made on the machine of the daemon: ',
      h('code', {}, 'jira-scim admin-token create --role admin --label me'),
    ),
  });
  const node = form([h('input', { type: 'text', autocomplete: 'username', value: 'jira-scim', hidden: true }), token], {
    text: 'Sign in',
    role: null,
    send: async (found) => {
      if (!found.token) throw Object.assign(new Error('Type or paste a token.'), { field: 'token' });
      await signIn(found.token);
      done();
    },
  });
  return {
    node: h(
      'div',
      { class: 'door' },
      h(
        'main',
        { class: 'card', id: 'main', tabindex: '-1' },
        h(
          'div',
          { class: 'stack tight' },
          h('h1', { class: 'brand' }, logo(), 'jira-scim'),
          lost && notice('warn', 'The session has ended. Sign in again; you come back to where you were.'),
          node,
        ),
      ),
    ),
    focus: () => token.querySelector('input').focus(),
  };
}
