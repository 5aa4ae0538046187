// The same of unstorage 2.
import './unstorage.test.mjs?2'
